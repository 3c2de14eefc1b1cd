"""What the small project serves."""

from __future__ import annotations

from django.urls import path
from documents import views

urlpatterns = [
    path("documents/<int:pk>/download/", views.download),
    path("documents/<int:pk>/metadata/", views.metadata),
    path("trash/", views.empty_trash),
]
