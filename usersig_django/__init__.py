"""Tencent Cloud UserSigs (Chat, TRTC, Live) for Django. See README.md."""

__version__ = "0.1.0"
