from flask import Flask

from sessions_core import WalletSessions, current_account, signed_in

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY becomes SECRET_KEY, and so on
WalletSessions(app)


@app.get("/")
@signed_in
def home():
    return f"Hello {current_account.address}"
