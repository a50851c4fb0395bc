from tests.browser.screenshots import *
from tests.browser.screenshots import look, picture, wallet
from .conftest import Elsewhere
from .pages import FIREFOX, PHONE

CHROME="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

def test_a(browser, wallet, picture, elsewhere, app, redis, clock):
    pass_time = TimeMachine(app, redis, clock)
    elsewhere.sign_in(wallet, FIREFOX, "203.0.113.7")
    pass_time(700)
    elsewhere.sign_in(wallet, PHONE, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="Rainbow")
    elsewhere.sign_in(wallet, "curl/8.0", "198.51.100.4", kind="professional", name="")
    elsewhere.sign_in(wallet, "", "", name="Trust")
    pass_time(300)
    browser.sign_in(wallet)
    browser.open("/session"); picture("x-session")
    browser.open("/sessions"); picture("x-devices")
    browser.open("/activity"); picture("x-activity")
    browser.open("/sessions/others"); picture("x-others")
del test_readme, test_pages, test_warnings, test_the_wallet_elsewhere, test_failures
