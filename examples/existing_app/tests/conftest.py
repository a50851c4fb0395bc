import pytest
from shop import create_app
from shop.models import add_user, db

pytest_plugins = ["sessions_core.testing.plugin"]


@pytest.fixture
def app(tmp_path, sessions_config):
    app = create_app(sessions_config | {"SQLALCHEMY_DATABASE_URI": "sqlite://", "UPLOADS": tmp_path})
    with app.app_context():
        add_user("alice@example.org", "the password of alice")
        add_user("root@example.org", "the password of root", is_admin=True)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app):
    return app.test_client()
