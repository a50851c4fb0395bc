from flask import Flask

from sessions_core import WalletSessions, current_account, signed_in

app = Flask(__name__)
app.config["SESSIONS_CORE_DEVELOPMENT"] = True
WalletSessions(app)


@app.get("/")
@signed_in
def home():
    return f"Hello {current_account.address}"
