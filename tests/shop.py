"""An application with things to confirm."""

from __future__ import annotations

from typing import Any

from flask import Flask, request, session

from sessions_core import ensure_fresh, fresh_required, requires, signed_in

ACTIONS = {
    "invoice.pay": "Pay invoice {number}.",
    "invoice.refund": "Refund invoice {number}.",
    "shop.open": "Open the shop.",
    "shop.close": "Close the shop.",
    "picture.keep": "Keep this picture.",
}


class Shop:
    """An application with things to confirm, and the list of what was really done."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.done: list[Any] = []
        both = {"methods": ["POST", "PUT", "PATCH", "DELETE"]}

        @app.route("/invoices/<number>/pay", **both)
        @fresh_required(0, "invoice.pay")
        def pay(number: str) -> str:
            return self._do(number, request.form.get("note") or request.get_data(as_text=True))

        @app.post("/invoices/<number>/refund")
        @fresh_required(0, "invoice.refund")
        def refund(number: str) -> str:
            return self._do("refund", number)

        @app.post("/pay")
        @fresh_required(0, "invoice.pay")
        def pay_by_field() -> str:
            body = request.get_json() if request.is_json else request.form
            return self._do(body.get("number"))

        @app.post("/picture")
        @fresh_required(0, "picture.keep")
        def picture() -> str:
            return self._do({name: file.read() for name, file in request.files.items()})

        @app.get("/counter")
        @fresh_required(300, "shop.open")
        def counter() -> str:
            return self._do("counter", request.args.get("desk"))

        @app.post("/close")
        @signed_in
        def close() -> str:
            if not request.form.get("when"):
                return "when?"
            ensure_fresh(300, "shop.close")
            return self._do("closed")

        @app.route("/any/<path:rest>", methods=["GET", "POST"])
        @fresh_required(300, "shop.open")
        def anything(rest: str) -> str:
            return self._do(rest)

        @app.post("/notes")
        @requires("write:therapy_notes")
        def write() -> str:
            return self._do(request.form["text"])

        @app.post("/keep/<key>")
        @fresh_required(0, "shop.open")
        def keep(key: str) -> dict[str, Any]:
            session[key] = "kept"
            return {key: value for key, value in session.items() if key != "csrf_token"}

        @app.post("/odd")
        @fresh_required(0, "shop.open")
        def odd() -> str:
            return self._do({name: values for name, values in request.form.lists() if name in ODD_FIELDS})

        @app.post("/decode")
        @signed_in
        def decode() -> str:
            read = request.get_data()
            ensure_fresh(0, "invoice.pay")
            return self._do(read)

        @app.post("/stream")
        @signed_in
        def stream() -> str:
            read = request.stream.read()
            ensure_fresh(0, "shop.open")
            return self._do(read)

        @app.post("/forgotten")
        @signed_in
        def forgotten() -> str:
            ensure_fresh(300, "shop.forgotten")
            return self._do("forgotten")

    def _do(self, *what: Any) -> str:
        self.done.append(what if len(what) > 1 else what[0])
        return "done"


ODD_FIELDS = {
    "lines": "a\r\nb\r\n\r\nc",
    "markup": '"><script>alert(1)</script><input name="',
    "entities": "&amp;&#13;&quot;'`",
    "unicode": "\u00e9\U0001f600\u202e\u2028",
    "blank": "   ",
    "empty": "",
    'name "with quotes"': "1",
    "request": "x",
    "action": "/elsewhere",
    "a" * 300: "1",
}
