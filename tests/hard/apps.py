from django.apps import AppConfig


class HardConfig(AppConfig):
    name = "tests.hard"
    label = "hard"
    default_auto_field = "django.db.models.BigAutoField"
