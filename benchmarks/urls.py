from django.urls import path

from benchmarks.views import EmptyView, HandWrittenView
from usersig_django.views import UserSigView

urlpatterns = [
    path("empty/", EmptyView.as_view()),
    path("hand-written/", HandWrittenView.as_view()),
    path("api/usersig/", UserSigView.as_view()),
]
