"""Plain admin pages for the shop's rows, synced and local."""

from __future__ import annotations

from django.contrib import admin

from . import models


@admin.register(models.Country)
class CountryAdmin(admin.ModelAdmin):
    list_display = ["code", "name", "own_name", "currency", "opened_at"]
    search_fields = ["code", "name", "own_name"]


@admin.register(models.Language)
class LanguageAdmin(admin.ModelAdmin):
    list_display = ["code", "country", "name", "own_name", "right_to_left"]
    list_select_related = ["country"]
    search_fields = ["code", "name", "own_name", "country__name"]


class EditorNoteInline(admin.TabularInline):
    model = models.EditorNote
    extra = 0


@admin.register(models.Copy)
class CopyAdmin(admin.ModelAdmin):
    list_display = ["key", "language", "value"]
    list_filter = ["language__country"]
    list_select_related = ["language__country"]
    search_fields = ["key", "value"]
    autocomplete_fields = ["language"]
    inlines = [EditorNoteInline]


@admin.register(models.Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "parent", "position"]


@admin.register(models.Tag)
class TagAdmin(admin.ModelAdmin):
    list_display = ["slug", "label"]


class StockLevelInline(admin.TabularInline):
    model = models.StockLevel
    extra = 0


@admin.register(models.Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["sku", "name", "category", "weight", "launched_at"]
    list_filter = ["category", "tags"]
    list_select_related = ["category"]
    search_fields = ["sku", "name"]
    filter_horizontal = ["tags", "countries"]
    inlines = [StockLevelInline]


@admin.register(models.Price)
class PriceAdmin(admin.ModelAdmin):
    list_display = ["product", "country", "amount", "currency", "valid_from"]
    list_filter = ["country"]
    list_select_related = ["product", "country"]
    search_fields = ["product__sku", "product__name"]
    autocomplete_fields = ["product", "country"]


@admin.register(models.Setting)
class SettingAdmin(admin.ModelAdmin):
    list_display = ["name", "comment"]
