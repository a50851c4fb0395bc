// better-auth with Express, and its sessions in Redis ("secondary storage"). Its users are in memory, and a request
// with a session does not read them. Two processes, as gunicorn has two workers.
import cluster from "node:cluster";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { fromNodeHeaders, toNodeHandler } from "better-auth/node";
import express from "express";
import { createClient } from "redis";

if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
} else {
  const redis = createClient({ socket: { path: process.env.BENCHMARK_REDIS } });
  await redis.connect();
  const auth = betterAuth({
    baseURL: "http://localhost:5000",
    secret: process.env.BENCHMARK_SECRET,
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false }, // of the routes below /api/auth, which are not measured
    telemetry: { enabled: false },
    secondaryStorage: {
      get: (key) => redis.get(key),
      set: (key, value, ttl) => redis.set(key, value, ttl ? { EX: ttl } : {}),
      delete: (key) => redis.del(key),
    },
  });
  const app = express();
  app.all("/api/auth/*splat", toNodeHandler(auth));
  app.get("/", async (request, response) => {
    const session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
    if (session?.user.name) response.send("hello");
    else response.status(401).send("gone");
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
