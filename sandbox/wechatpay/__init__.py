"""WeChat Pay API v3 (direct merchant mode), as its documentation and recorded answers describe it."""
