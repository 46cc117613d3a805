// A real samtale server in a folder of its own, and what the tests ask of it.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const kStartMs = 30_000;
const kVisibleMs = 30_000;
// The server takes every SAMTALE_ variable for configuration.
const kEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("SAMTALE_")),
);

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Asks again until the answer is something; the only way to wait for another process.
export async function eventually(what, ask, limitMs = kVisibleMs) {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await pause(50);
  }
}

export class Server {
  static async start() {
    const binary = process.env.SAMTALE_BIN;
    if (!binary) {
      throw new Error("SAMTALE_BIN is not set: give the path of the samtale binary to test, as in SAMTALE_BIN=build/release/samtale npm test");
    }
    const server = new Server();
    server.binary = binary;
    server.data = await mkdtemp(join(tmpdir(), "samtale-browser-"));
    const ready = join(server.data, "ready.json");
    const args = ["serve", "--data", join(server.data, "data"), "--port", "0", "--ready-file", ready];
    server.log = "";
    server.process = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], env: kEnvironment });
    for (const stream of [server.process.stdout, server.process.stderr]) {
      stream.on("data", (text) => (server.log += text));
    }
    try {
      server.url = await eventually("the server to be ready", () => server.readyUrl(ready), kStartMs);
    } catch (error) {
      await server.stop();
      throw new Error(`${error.message}\n${server.log}`);
    }
    return server;
  }

  async readyUrl(file) {
    if (this.process.exitCode !== null) throw new Error(`samtale serve ended with ${this.process.exitCode}`);
    try {
      return JSON.parse(await readFile(file, "utf8")).url;
    } catch {
      return null; // Not written yet.
    }
  }

  async command(...args) {
    const { stdout } = await run(this.binary, [...args, "--data", join(this.data, "data"), "--json"], { env: kEnvironment });
    return JSON.parse(stdout);
  }

  async createCompany(name) {
    await this.command("company", "create", name);
  }

  async createKey(company, scopes) {
    const options = scopes.flatMap((scope) => ["--scope", scope]);
    return (await this.command("key", "create", "--company", company, ...options)).key;
  }

  async request(key, method, path, body) {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  // Sends a conversation and waits until a search by words finds `word` in it. Its id.
  async ingest(key, conversation, word) {
    const { status, body } = await this.request(key, "POST", "/v1/conversations", conversation);
    if (status !== 202) throw new Error(`ingest answered ${status}: ${JSON.stringify(body)}`);
    await eventually(`${conversation.id} to be found`, async () => {
      const answer = await this.request(key, "POST", "/v1/search", { query: word, mode: "keyword" });
      return answer.body.hits?.some((hit) => hit.external_id === conversation.id);
    });
    return body.id;
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = new Promise((resolve) => this.process.once("exit", resolve));
      this.process.kill("SIGTERM");
      await Promise.race([ended, pause(10_000).then(() => this.process.kill("SIGKILL"))]);
      await ended;
    }
    await rm(this.data, { recursive: true, force: true });
  }
}
