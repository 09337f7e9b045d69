"""What a project that uses django-import-export may have already."""

from __future__ import annotations

from typing import Any

from import_export import fields, resources, widgets

from .models import Term


class LowerCase(widgets.CharWidget):
    def clean(self, value: Any, row: Any = None, **options: Any) -> Any:
        if value == "bad":
            raise ValueError("no such meaning")
        return super().clean(value, row, **options).lower()


class TermResource(resources.ModelResource):
    word = fields.Field(attribute="word", column_name="Wort", readonly=True)
    meaning = fields.Field(attribute="meaning", column_name="Bedeutung", widget=LowerCase())
    length = fields.Field(column_name="Länge", readonly=True)

    class Meta:
        model = Term
        fields = ("word", "meaning", "length")
        import_id_fields = ("word",)

    def before_import_row(self, row: Any, **options: Any) -> None:
        if row["Wort"] == "refused":
            raise ValueError(f"nothing means {row['Bedeutung']}")
        row["Wort"] = row["Wort"].strip()
