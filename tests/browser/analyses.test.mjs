// Goal: what was concluded from conversations is read, corrected, counted and governed in the dashboard,
// and nothing that a language model or a person wrote comes alive in it (faults J6).
// Method: as in dashboard.test.mjs. The server has no language model: what one would have found is put
// into its answer, in the shapes of docs/http-api.md; everything else is the server's own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { kLive, openPage as openPageOf, overflow, placeOf, signIn, startBrowser } from "./pages.mjs";
import { eventually, Server } from "./server.mjs";

let server;
let browser;
let key;

before(async () => {
  server = await Server.start();
  await server.createCompany("acme");
  key = await server.createKey("acme", ["ingest", "search", "read", "admin"]);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

async function open(t, hash, { withKey = key, ...options } = {}) {
  const page = await openPageOf(t, browser, server, options);
  await signIn(page, server, withKey);
  await page.goto(`${server.url}/${hash}`);
  return page;
}

const about = (page) => page.getByRole("complementary", { name: "About this conversation" });
const section = (page, name) => about(page).locator(".about-section", { has: page.getByRole("heading", { name, exact: true }) });

// An ended conversation, and its id once it is analysed.
async function analysed(id, word, more = {}) {
  const document = {
    id,
    channel: "chat",
    status: "ended",
    language: "en",
    started_at: new Date().toISOString(),
    turns: [
      { speaker: "customer", text: `The ${word} is terrible, I hate this awful ${word}.` },
      { speaker: "agent", text: "Where can we write to you, Søren Åkjær?" },
      { speaker: "customer", text: `Write to soren@example.com, the second ${word} was terrible too.` },
    ],
    ...more,
  };
  const made = await server.ingest(key, document, word);
  await eventually(`the analyses of ${id}`, async () => {
    const { body } = await server.request(key, "GET", `/v1/conversations/${made}`);
    return ["manipulation", "pii", "sentiment", "summary", "topics"].every((name) => body.analyses.some(({ analyzer }) => analyzer === name));
  });
  return made;
}

// The server's own answer with these analyses in it.
async function withAnalyses(page, id, analysesNow) {
  await page.route(`**/v1/conversations/${id}`, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    await route.fulfill({ json: { ...body, analyses: analysesNow(body) } });
  });
}

const kEvil = `<img src="https://evil.example/x.png" onerror="alert(1)"> https://evil.example/click ![p](https://evil.example/y.png) <script>alert(2)</script> [a](javascript:alert(3)) <b>x</b>`;
const analysis = (analyzer, result, more = {}) => ({ analyzer, version: 1, method: "lm", revision: 1, created_at: "2026-11-20T09:00:00Z", labels: [], result, ...more });

test("an analysis says what made it, and personal data is counted without being repeated", async (t) => {
  const id = await analysed("marks-1", "quillwort");
  const page = await open(t, `#/conversations/${id}`);

  await section(page, "Summary").getByText("extractive, no model · version 1").waitFor();
  const report = section(page, "Personal data");
  await report.getByText("rules · version 1").waitFor();
  assert.match(await report.innerText(), /E-mail address 1/);
  assert.ok(!(await report.innerText()).includes("soren@example.com"));

  await report.getByRole("button", { name: "turn 3" }).click();

  await eventually("the turn to have the focus", () => page.evaluate(() => document.activeElement.dataset.turn === "2"));
});

test("a quote is marked, letter by letter, in the turn it is of", async (t) => {
  const id = await analysed("cite-1", "wagtail");
  const page = await open(t, `#/conversations/${id}`);
  const quotes = section(page, "Summary").locator(".quote");
  await quotes.first().waitFor();

  for (const quote of await quotes.all()) {
    const words = await quote.locator("span").first().textContent();
    await quote.click();
    assert.equal(await page.locator(".cited mark").textContent(), words);
    assert.equal(await page.locator(".cited").count(), 1);
  }
});

test("findings of every kind stay text, whatever a model wrote in them", async (t) => {
  const id = await analysed("hostile-1", "hoopoe");
  const page = await open(t, "#/live");
  const evidence = [{ turn: 0, quote: kEvil }, { turn: 99, quote: "no such turn" }];
  const results = {
    summary: { title: kEvil, text: kEvil, sentences: evidence },
    sentiment: { label: kEvil, score: 0.5, sides: [{ role: kEvil, label: "x", score: 1 }, { role: "agent", score: 0 }], course: [{ score: 9 }, { score: null }], evidence },
    topics: { topics: [{ name: kEvil, evidence }] },
    intent: { intents: [{ name: kEvil, evidence }] },
    resolution: { state: kEvil, reason: kEvil, evidence },
    action_items: { items: [{ text: kEvil, owner: kEvil, due: kEvil, evidence }] },
    pii: { findings: [{ kind: kEvil, turn: 0, quote: kEvil }], kinds: { [kEvil]: 2 } },
    manipulation: { findings: [{ family: kEvil, turn: 0, quote: kEvil }], families: { [kEvil]: 1 } },
    quality: { answers: [{ id: kEvil, points: 1, evidence }], score: 1 },
    facts: { value: { [kEvil]: kEvil, list: [kEvil, { deep: kEvil }] }, evidence },
  };
  const override = { result: { state: kEvil, reason: kEvil }, by: kEvil, note: kEvil, made_at: "2026-11-20T09:00:00Z", revision: 1 };
  await withAnalyses(page, id, () => Object.entries(results).map(([name, result]) => analysis(name, result, { labels: [kEvil], override: name === "resolution" ? override : null })));

  await page.goto(`${server.url}/#/conversations/${id}`);
  await section(page, "Facts").waitFor();
  for (const quote of await about(page).locator(".quote").all()) await quote.click();

  assert.equal(await about(page).locator(".analyses .about-section").count(), 10);
  assert.equal(await page.locator(kLive).count(), 0);
  for (const name of ["Summary", "Resolution", "Action items", "Quality", "Facts"]) {
    assert.ok((await section(page, name).innerText()).includes("https://evil.example/click"), name);
  }
});

test("a finding of an earlier revision says so", async (t) => {
  const id = await analysed("stale-1", "ptarmigan");
  const page = await open(t, "#/live");
  await withAnalyses(page, id, ({ revision }) => [
    analysis("summary", { title: "", text: "Now.", sentences: [] }, { revision }),
    analysis("intent", { intents: [] }, { revision: revision - 1 }),
  ]);

  await page.goto(`${server.url}/#/conversations/${id}`);

  await section(page, "Intent").getByText("of an earlier revision").waitFor();
  assert.equal(await section(page, "Summary").getByText("of an earlier revision").count(), 0);
});

test("a person's score is given, kept beside the machine's, and taken back", async (t) => {
  const id = await analysed("card-1", "merganser");
  const questions = [{ id: "greeted", text: "Did the agent greet?", max: 1, weight: 1 }, { id: "solved", text: "Blev det løst?", max: 5, weight: 2 }];
  const made = await server.request(key, "PUT", "/v1/analyzers/courtesy", { kind: "scorecard", questions });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const page = await open(t, "#/live");
  let override = null;
  const sent = [];
  await withAnalyses(page, id, () => [
    analysis("courtesy", { answers: [{ id: "greeted", points: 1, evidence: [{ turn: 1, quote: "Søren Åkjær" }] }, { id: "solved", points: null, evidence: [] }], score: 1 }, { score: 1, version: made.body.version, override }),
  ]);
  await page.route("**/analyses/courtesy/override", (route) => {
    const body = route.request().postDataJSON();
    sent.push([route.request().method(), body]);
    override = body === null ? null : { result: body.result, by: "key_1", note: body.note, made_at: new Date().toISOString(), revision: 1, score: 0.4 };
    return body === null ? route.fulfill({ status: 204 }) : route.fulfill({ json: override });
  });
  await page.goto(`${server.url}/#/conversations/${id}`);
  const card = section(page, "Courtesy");

  await card.getByRole("button", { name: "Correct Courtesy" }).click();
  const dialog = page.getByRole("dialog", { name: "What a person says" });
  await dialog.getByLabel("Did the agent greet?").selectOption("0");
  await dialog.getByLabel("Blev det løst?").selectOption("3");
  await dialog.getByLabel("Note").fill("Hilste ikke");
  await dialog.getByRole("button", { name: "Save" }).click();

  await card.getByText("Hilste ikke").waitFor();
  const text = (await card.innerText()).replace(/\s+/g, " ");
  assert.match(text, /Machine 100 % A person 40 %/);
  assert.match(text, /1 of 1 A person: 0 of 1/);
  assert.match(text, /N\/A A person: 3 of 5/);
  assert.deepEqual(sent, [["PUT", { result: { answers: [{ id: "greeted", points: 0 }, { id: "solved", points: 3 }] }, note: "Hilste ikke" }]]);

  await card.getByRole("button", { name: "Remove what a person says of Courtesy" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await eventually("only the machine's score", async () => !(await card.innerText()).includes("A person"));
  assert.deepEqual(sent[1], ["DELETE", null]);
});

test("analyses that failed are seen on their conversation and tried again", async (t) => {
  const id = await analysed("failed-1", "avocet");
  const page = await open(t, "#/live");
  const letter = (number, kind, conversation) => ({ id: number, kind, cause: `${kind}: the answer broke off ${kEvil}`, attempts: 5, conversation_id: conversation, given_up_at: "2026-11-22T11:00:00Z" });
  const letters = [letter("1", "lm", id), letter("2", "lm", "another"), letter("3", "embed", id)];
  const asked = [];
  await page.route("**/v1/dead-letters?*", (route) => route.fulfill({ json: { dead_letters: letters.filter((one) => !asked.includes(one.id)), next_cursor: null } }));
  await page.route("**/v1/dead-letters/redrive", (route) => {
    asked.push(...route.request().postDataJSON().ids);
    return route.fulfill({ json: { redriven: 1 } });
  });

  await page.goto(`${server.url}/#/conversations/${id}`);
  const failures = about(page).getByRole("region", { name: "Analyses that failed" });
  await failures.waitFor();
  assert.equal(await failures.getByRole("listitem").count(), 1);
  await failures.getByRole("button", { name: "Try again" }).click();

  await failures.waitFor({ state: "detached" });
  assert.deepEqual(asked, ["1"]);
  assert.equal(await page.locator(kLive).count(), 0);
});

test("an analysis is asked for on the spot", async (t) => {
  const id = await server.ingest(key, { id: "now-1", status: "open", language: "en", turns: [{ speaker: "customer", text: "My dotterel is late, call 20 30 40 50." }] }, "dotterel");
  const page = await open(t, `#/conversations/${id}`);
  await about(page).getByText("None yet").waitFor();

  await about(page).getByRole("button", { name: "Analyse now" }).click();
  const dialog = page.getByRole("dialog", { name: "Analyse this conversation now" });
  await dialog.getByLabel("Personal data").check();
  await dialog.getByRole("button", { name: "Analyse", exact: true }).click();

  await section(page, "Personal data").getByText("Phone number").waitFor();
  assert.equal(await about(page).locator(".analyses .about-section").count(), 1);
});

test("any analyzer is counted over time, and its labels lead to a search that finds them", async (t) => {
  const id = await analysed("counted-1", "bobolink");
  const page = await open(t, "#/trends");

  await page.getByLabel("Analyzer").selectOption({ label: "Personal data" });
  await page.getByRole("img", { name: /^EMAIL: / }).waitFor();
  await page.reload();
  await signIn(page, server, key);
  await page.goto(`${server.url}/#/trends?analyzer=pii`);
  await page.getByRole("link", { name: "EMAIL", exact: true }).click();

  await page.getByRole("button", { name: "Remove filter pii: EMAIL" }).waitFor();
  await page.getByRole("searchbox").fill("bobolink");
  await page.keyboard.press("Enter");
  await page.locator(`.result [data-row="${id}"]`).waitFor();
});

test("a search is narrowed by an analyzer's label and by a range of its score", async (t) => {
  await analysed("narrow-1", "sandpiper");
  await analysed("narrow-2", "sandpiper", { turns: [{ speaker: "customer", text: "The sandpiper is wonderful, thank you, I love it." }, { speaker: "agent", text: "Great." }] });
  const page = await open(t, "#/search?q=sandpiper&mode=keyword");
  const names = async (...expected) => {
    const list = page.locator(".result h2");
    await eventually(expected.join(), async () => (await list.allTextContents()).sort().join() === expected.join());
  };
  await names("narrow-1", "narrow-2");

  await page.getByRole("button", { name: "Filters" }).click();
  await page.getByLabel("Analysis").selectOption({ label: "Personal data" });
  await page.getByLabel("Label").fill("EMAIL");
  await page.keyboard.press("Tab");
  await names("narrow-1");

  await page.getByRole("button", { name: "Remove filter pii: EMAIL" }).click();
  await names("narrow-1", "narrow-2");
  await page.getByLabel("Analysis").selectOption({ label: "Sentiment" });
  await page.getByLabel("Least score").fill("0.1");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Remove filter sentiment: 0.1 or more" }).waitFor();
  await names("narrow-2");
});

test("the analyzers are listed with what makes them, and opened without a mouse", async (t) => {
  const page = await open(t, "#/analyzers");
  const row = (name) => page.locator("tr", { has: page.locator(`[data-row="${name}"]`) });

  await row("pii").getByText("rules").waitFor();
  await row("summary").getByText("extractive, no model").waitFor();
  await row("intent").getByText("nothing: it needs a language model").waitFor();
  await page.getByText("No language model is set up").waitFor();

  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Action items", level: 1 }).waitFor();
  await page.keyboard.press("Escape");
  await row("pii").waitFor();
});

test("a score card is made, its mistakes are shown at their fields, and each change is a version", async (t) => {
  const page = await open(t, "#/analyzers?new=scorecard");
  const save = (name) => page.getByRole("button", { name }).click();

  await page.getByLabel("Name", { exact: true }).fill("hilsen");
  await page.getByLabel("Runs").selectOption("tag");
  await page.getByLabel("Sample in percent").fill("250");
  await save("Create");
  const problemOf = async (label) => {
    const field = page.locator(".field", { has: page.getByLabel(label, { exact: true }) });
    await eventually(`a problem at ${label}`, async () => (await field.locator(".problem").textContent()) !== "");
    assert.equal(await page.getByLabel(label, { exact: true }).getAttribute("aria-invalid"), "true");
    return field.locator(".problem").textContent();
  };
  assert.match(await problemOf("Question"), /needed/);
  assert.match(await problemOf("Tag"), /needed/);
  assert.match(await problemOf("Sample in percent"), /share/);

  await page.getByLabel("Question", { exact: true }).fill("Hilste medarbejderen på dansk?");
  await page.getByLabel("Tag", { exact: true }).fill("blå");
  await page.getByLabel("Sample in percent").fill("25");
  await save("Create");
  await page.getByRole("heading", { name: "Hilsen", level: 1 }).waitFor();
  await page.getByText("Version 1, in force").waitFor();

  await page.getByLabel("Description").fill("Høflighed");
  await page.getByRole("button", { name: "Add a question" }).click();
  await page.getByLabel("Question", { exact: true }).last().fill("Sagde den farvel?");
  await save("Save as a new version");
  await page.getByText("Version 2, in force").waitFor();
  const { body } = await server.request(key, "GET", "/v1/analyzers/hilsen");
  assert.deepEqual(body.questions.map(({ id, text }) => [id, text]), [["q1", "Hilste medarbejderen på dansk?"], ["q2", "Sagde den farvel?"]]);
  assert.deepEqual([body.trigger, body.sample, body.description, body.versions.length], [{ on: "tag", tag: "blå" }, 0.25, "Høflighed", 2]);

  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.locator('[data-row="pii"]').waitFor();
  assert.equal((await server.request(key, "GET", "/v1/analyzers/hilsen")).status, 404);
});

test("the JSON for the rest is held against its syntax here and its meaning there", async (t) => {
  const page = await open(t, "#/analyzers?new=custom");
  const rest = page.getByLabel("Members");
  const problem = page.locator(".field", { has: rest }).locator(".problem");
  await page.getByLabel("Name", { exact: true }).fill("vehicle");
  await page.getByLabel("Instructions").fill("Which vehicle?");

  await rest.fill("{ schema: 1 }");
  await page.getByRole("button", { name: "Create" }).click();
  assert.match(await problem.textContent(), /is not JSON/);

  await rest.fill('{ "schema": { "type": "object" }, "nonsense": 1 }');
  await page.getByRole("button", { name: "Create" }).click();
  await eventually("the server's word", async () => /nonsense.*not known/.test(await problem.textContent()));

  await rest.fill('{ "schema": { "type": "object" } }');
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "Vehicle", level: 1 }).waitFor();
});

test("a shipped analyzer is changed and reset", async (t) => {
  const page = await open(t, "#/analyzers/resolution");

  await page.getByLabel("Active").uncheck();
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByText("2, changed").waitFor();
  assert.equal((await server.request(key, "GET", "/v1/analyzers/resolution")).body.active, false);

  await page.getByRole("button", { name: "Reset…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Reset" }).click();
  await page.getByText("version as shipped").waitFor();
  assert.equal((await server.request(key, "GET", "/v1/analyzers/resolution")).body.active, true);
});

test("a back-fill is estimated first, then started, and watched to its end", async (t) => {
  await analysed("fill-1", "kittiwake");
  const page = await open(t, "#/analyzers?tab=backfills");

  await page.getByRole("button", { name: "Back-fill…" }).click();
  const dialog = page.getByRole("dialog", { name: "Back-fill over history" });
  await dialog.getByLabel("Summary").check();
  assert.equal(await dialog.getByRole("button", { name: "Start the back-fill" }).count(), 0);
  await dialog.getByRole("button", { name: "Estimate the cost" }).click();
  await dialog.getByRole("button", { name: "Start the back-fill" }).waitFor();
  assert.match(await dialog.getByRole("status").innerText(), /Conversations\s+[1-9]/);

  await dialog.getByLabel("Topics").check();
  await dialog.getByRole("button", { name: "Estimate the cost" }).click();
  await dialog.getByRole("button", { name: "Start the back-fill" }).click();

  const row = page.locator(".backfill").first();
  await row.getByText("Summary, Topics").waitFor();
  await row.getByText("done").waitFor();
  assert.equal(await row.getByRole("progressbar").evaluate((bar) => bar.position), 1);
});

test("a back-fill that runs is paused, resumed and cancelled", async (t) => {
  // One that is so slow does not fit into a test: its answers are put in place of the server's.
  let state = "running";
  const backfill = () => ({ id: "bf_1", state, filter: { channel: kEvil }, total: 900, seen: 300, asked: 200, waiting: 20, estimate: { usd: 1.5 }, created_at: "2026-11-20T09:00:00Z", updated_at: "2026-11-20T09:00:00Z" });
  const page = await open(t, "#/live");
  await page.route("**/v1/backfills", (route) => route.fulfill({ json: { backfills: [backfill()] } }));
  await page.route("**/v1/backfills/bf_1/*", (route) => {
    state = { pause: "paused", resume: "running", cancel: "cancelled" }[new URL(route.request().url()).pathname.split("/").pop()];
    return route.fulfill({ json: backfill() });
  });
  await page.goto(`${server.url}/#/analyzers?tab=backfills`);
  const row = page.locator(".backfill");

  await row.getByText("200 of 900 conversations").waitFor();
  await row.getByRole("button", { name: "Pause" }).click();
  await row.getByText("paused").waitFor();
  await row.getByRole("button", { name: "Resume" }).click();
  await row.getByText("running").waitFor();
  await row.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel it" }).click();
  await row.getByText("cancelled").waitFor();

  assert.equal(await row.getByRole("button").count(), 0);
  assert.equal(await page.locator(kLive).count(), 0);
});

test("the settings are kept, and the usage is held against their limits", async (t) => {
  const page = await open(t, "#/analyzers?tab=settings");

  await page.getByLabel("Tokens a day").fill("0");
  await page.getByLabel("Tokens a month").fill("1.5");
  await page.getByLabel("Names to mask as well").fill("Åse Ørsted\n\n  Søren  ");
  await page.getByRole("button", { name: "Save" }).click();
  await eventually("the mistake", async () => (await page.getByLabel("Tokens a month").getAttribute("aria-invalid")) === "true");
  await page.getByLabel("Tokens a month").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
  const { body } = await server.request(key, "GET", "/v1/analyses/settings");
  assert.deepEqual([body.budget, body.mask_names], [{ tokens_per_day: 0 }, ["Åse Ørsted", "Søren"]]);

  await page.getByRole("link", { name: "Usage" }).click();
  const budget = page.locator(".budget", { hasText: "The company, today" });
  await budget.getByText("0 of 0 tokens").waitFor();
  await budget.getByText("Spent: stopped until").waitFor();
});

test("a key without admin reads the analyzers and changes nothing", async (t) => {
  const id = await analysed("reader-1", "turnstone");
  const reader = await server.createKey("acme", ["search", "read"]);
  const page = await open(t, "#/analyzers", { withKey: reader });

  await page.locator('[data-row="pii"]').waitFor();
  assert.equal(await page.getByRole("button", { name: "New analyzer" }).count(), 0);
  await page.goto(`${server.url}/#/analyzers/intent`);
  await page.getByLabel("Description").waitFor();
  assert.ok(await page.getByLabel("Description").isDisabled());
  assert.equal(await page.getByRole("button", { name: "Save as a new version" }).count(), 0);
  await page.goto(`${server.url}/#/conversations/${id}`);
  await section(page, "Personal data").waitFor();
  assert.equal(await page.getByRole("button", { name: "Analyse now" }).count(), 0);
});

test("on a phone the analyses are folded above what was said and never wider than it", async (t) => {
  const id = await analysed("phone-2", "oystercatcher");
  const page = await open(t, `#/conversations/${id}`, { viewport: { width: 360, height: 740 } });
  await page.locator(".turn").first().waitFor();
  const wide = "bred".repeat(60);
  await withAnalyses(page, id, () => [analysis("facts", { value: { [wide]: { [wide]: [{ [wide]: wide }] } }, evidence: [{ turn: 0, quote: wide }] }, { labels: [wide] })]);
  await page.reload();
  await signIn(page, server, key);
  await page.goto(`${server.url}/#/conversations/${id}`);

  const summary = page.getByRole("heading", { name: "Analyses" });
  await summary.waitFor();
  await page.locator(".turn").first().waitFor();
  assert.ok((await placeOf(summary)).y < (await placeOf(page.locator(".turn").first())).y);
  assert.equal(await section(page, "Facts").isVisible(), false);
  await summary.click();
  await section(page, "Facts").waitFor();
  assert.ok((await overflow(page)) <= 0, `${await overflow(page)} px too wide`);
});
