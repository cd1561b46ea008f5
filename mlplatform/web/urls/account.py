"""Addresses that belong to a person or to the installation, and to no project."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import doctor, home, preferences, prices, session, styleguide

urlpatterns = [
    path("", home.home, name="home"),
    path("login/", session.sign_in, name="login"),
    path("logout/", session.sign_out, name="logout"),
    path("logout/everywhere/", session.sign_out_everywhere, name="sign-out-everywhere"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("preferences/password/", preferences.password, name="password"),
    path("preferences/language/", preferences.language, name="language"),
    path("preferences/theme/", preferences.theme, name="theme"),
    path("doctor/", doctor.doctor, name="doctor"),
    path("doctor/mark/", doctor.doctor_mark, name="doctor-mark"),
    path("prices/", prices.price_sheet_page, name="price-sheet"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("projects/new/", home.project_new, name="project-new"),
]
