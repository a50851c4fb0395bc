// express-session with its store in Redis. Two processes, as gunicorn has two workers.
import cluster from "node:cluster";
import express from "express";
import session from "express-session";
import { RedisStore } from "connect-redis";
import { createClient } from "redis";

if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
} else {
  const redis = createClient({ socket: { path: process.env.BENCHMARK_REDIS } });
  await redis.connect();
  const app = express();
  app.use(
    session({
      store: new RedisStore({ client: redis }),
      secret: process.env.BENCHMARK_SECRET,
      resave: false,
      saveUninitialized: false,
    }),
  );
  app.get("/in", (request, response) => {
    request.session.account = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7";
    response.send("in");
  });
  app.get("/", (request, response) => {
    if (request.session.account) response.send("hello");
    else response.status(401).send("gone");
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
