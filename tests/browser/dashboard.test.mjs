// Goal: the dashboard does what it says, in a real browser, against a real server; and nothing that
// people write in a conversation comes alive in it (faults F20).
// Method: one server and one browser for the file, a fresh context (storage, cookies) a test, words
// that occur in one test only. Needs SAMTALE_BIN, and a Chromium at CHROMIUM_BIN or /usr/bin/chromium.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage as openPageOf, overflow, placeOf, signIn as signInTo, startBrowser } from "./pages.mjs";
import { eventually, Server } from "./server.mjs";

const kScopes = ["ingest", "search", "read", "admin"];

let server;
let browser;
let key;

before(async () => {
  server = await Server.start();
  await server.createCompany("acme");
  key = await server.createKey("acme", kScopes);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const openPage = (t, options) => openPageOf(t, browser, server, options);
const signIn = (page, { withKey = key, remember = false } = {}) => signInTo(page, server, withKey, remember);

async function signedIn(t, options) {
  const page = await openPage(t, options);
  await signIn(page);
  return page;
}

async function search(page, words) {
  await page.getByRole("searchbox").fill(words);
  await page.keyboard.press("Enter");
}

function parcel(id, word, more = {}) {
  return {
    id,
    channel: "chat",
    language: "en",
    started_at: "2026-11-20T08:00:00Z",
    parties: [{ id: "c", name: "Søren Åkjær", role: "customer" }, { id: "a", name: "Mette Holm", role: "agent" }],
    tags: ["shipping"],
    metadata: { plan: "pro" },
    turns: [
      { speaker: "customer", text: `My ${word} never came, where is it?`, at: "2026-11-20T08:00:00Z" },
      { speaker: "agent", text: "I will look into it right away.", at: "2026-11-20T08:01:00Z" },
    ],
    ...more,
  };
}

const hits = (page) => page.locator(".result");

test("a wrong key is refused with advice and a right one shows who one is", async (t) => {
  const page = await openPage(t);

  await page.goto(server.url);
  await page.getByLabel("API key").fill("smt_not_a_key_of_this_server");
  await page.getByRole("button", { name: "Sign in" }).click();

  await page.getByRole("alert").filter({ hasText: "does not know this key" }).waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);

  await signIn(page);

  assert.equal(await page.locator(".side-foot > .who .company").textContent(), "acme");
  const scopes = await page.locator(".side-foot > .who .scopes li").allTextContents();
  assert.deepEqual(scopes.sort(), [...kScopes].sort());
});

test("the key stays in memory, or in this tab if asked, and sign out forgets it", async (t) => {
  const page = await openPage(t);
  const stored = () => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie]));

  await signIn(page);
  assert.ok(!(await stored()).includes(key));
  await page.reload();
  await page.getByLabel("API key").waitFor();

  await signIn(page, { remember: true });
  const local = await page.evaluate(() => JSON.stringify({ ...localStorage }) + location.href + document.cookie);
  assert.ok(!local.includes(key));
  await page.reload();
  await page.getByRole("navigation").waitFor();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  assert.ok(!(await stored()).includes(key));
  assert.ok(!(await page.content()).includes(key));
});

test("an ingested conversation is found by words and by both, and a link repeats the search", async (t) => {
  await server.ingest(key, parcel("found-1", "zeppelin"), "zeppelin");
  const page = await signedIn(t);

  await search(page, "zeppelin");
  await hits(page).first().waitFor();
  assert.equal(await hits(page).first().locator("h2").textContent(), "found-1");

  await page.getByText("Words", { exact: true }).click();
  await page.waitForURL(/mode=keyword/);
  await hits(page).first().waitFor();
  assert.equal(await hits(page).count(), 1);
  assert.equal(await hits(page).first().locator("mark").first().textContent(), "zeppelin");

  await page.goBack();
  await page.waitForURL((url) => !url.hash.includes("mode="));
  await hits(page).first().waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "zeppelin");
  assert.ok(await page.getByRole("radio", { name: "Both" }).isChecked());
});

test("opening a hit marks its turn and brings it into view", async (t) => {
  const turns = Array.from({ length: 120 }, (_, at) => ({
    speaker: at % 2 === 0 ? "customer" : "agent",
    text: at === 97 ? "The xylophone in the hall is broken." : `We talked about point number ${at} for a while longer.`,
  }));
  await server.ingest(key, parcel("long-1", "x", { turns }), "xylophone");
  const page = await signedIn(t);

  await search(page, "xylophone");
  await hits(page).first().locator(".passage").first().click();

  const turn = page.locator(".turn[aria-current=true]");
  await turn.waitFor();
  assert.match(await turn.textContent(), /xylophone in the hall/);
  assert.equal(await turn.locator("mark").textContent(), "xylophone");
  const box = await placeOf(turn);
  assert.ok(box.y > 0 && box.y + box.height < 800, `the turn is at ${box.y}`);
  assert.equal(await page.locator(".turn").count(), 120);
});

test("filters narrow the answer and their chips widen it again", async (t) => {
  await server.ingest(key, parcel("narrow-1", "quagmire"), "quagmire");
  const other = { channel: "email", metadata: { plan: "free" }, started_at: "2024-03-01T08:00:00Z" };
  await server.ingest(key, parcel("narrow-2", "quagmire", other), "quagmire");
  const page = await signedIn(t);
  const names = async (count) => {
    await eventually(`${count} hits`, async () => (await hits(page).count()) === count);
    return (await hits(page).locator("h2").allTextContents()).sort();
  };

  await search(page, "quagmire");
  await page.getByText("Words", { exact: true }).click();
  assert.deepEqual(await names(2), ["narrow-1", "narrow-2"]);

  await page.getByRole("button", { name: "Filters" }).click();
  await page.getByLabel("Channel").fill("email");
  await page.keyboard.press("Tab");
  assert.deepEqual(await names(1), ["narrow-2"]);

  await page.getByRole("button", { name: /Remove filter channel/ }).click();
  assert.deepEqual(await names(2), ["narrow-1", "narrow-2"]);

  await page.getByLabel("Metadata").fill("plan=pro");
  await page.keyboard.press("Enter");
  assert.deepEqual(await names(1), ["narrow-1"]);

  await page.getByRole("button", { name: /Remove filter plan=pro/ }).click();
  await names(2);
  await page.locator("select[name=time]").selectOption("dates");
  await page.getByLabel("To", { exact: true }).fill("2024-12-31");
  assert.deepEqual(await names(1), ["narrow-2"]);
});

test("markup, markdown and scripts in a conversation stay text", async (t) => {
  const evil = [
    "<script>alert('one')</script>",
    '<img src="https://evil.example/pixel.png" onerror="alert(2)">',
    "![pixel](https://evil.example/markdown.png)",
    "[click](javascript:alert(3)) javascript:alert(4)",
    '"><svg onload=alert(5)><style>@import "https://evil.example/x.css";</style>',
    '<a href="javascript:alert(6)">open</a><iframe srcdoc="<script>alert(7)</script>"></iframe>',
  ];
  const conversation = {
    id: 'evil-1"><img src=x onerror=alert(8)>',
    title: "<b onmouseover=alert(9)>kerfuffle</b>",
    channel: "<i>chat</i>",
    language: "en",
    started_at: "2026-11-20T08:00:00Z",
    parties: [{ id: "c", name: "<script>alert(10)</script>", role: "customer", address: "javascript:alert(11)" }],
    tags: ["<img src=x onerror=alert(12)>"],
    metadata: { "<script>alert(13)</script>": "javascript:alert(14)" },
    turns: evil.map((text) => ({ speaker: "customer", text: `kerfuffle ${text}` })),
  };
  const id = await server.ingest(key, conversation, "kerfuffle");
  const page = await signedIn(t);
  const live = "main script, main img, main iframe, main style, main svg:not(.icon), main b, main i:not(.skeleton i)";

  await search(page, "kerfuffle");
  await hits(page).first().waitFor();

  assert.equal(await page.locator(live).count(), 0);

  await hits(page).first().locator("h2 a").click();
  await page.locator(".turn").first().waitFor();

  assert.equal(await page.locator(live).count(), 0);
  const texts = await page.locator(".turn-text").allTextContents();
  assert.deepEqual(texts, conversation.turns.map(({ text }) => text));
  const targets = await page.locator("main a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  assert.ok(targets.every((target) => target.startsWith("#/")), targets.join("\n"));

  await page.goto(`${server.url}/#/conversations`);
  await page.locator(`[data-row="${id}"]`).waitFor();
  assert.equal(await page.locator(live).count(), 0);
});

test("the page is served under a policy that allows nothing from elsewhere", async () => {
  const response = await fetch(server.url);

  const policy = response.headers.get("content-security-policy") ?? "";
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(rule), `${rule} is missing in: ${policy}`);
  }
  assert.ok(!policy.includes("unsafe"));
});

test("the theme follows the system until it is toggled, and the choice stays", async (t) => {
  const page = await openPage(t, { colorScheme: "light" });
  await signIn(page, { remember: true });
  const brightness = () =>
    page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
      return (red + green + blue) / 3;
    });
  assert.ok((await brightness()) > 200);

  await page.getByRole("button", { name: "Use the dark theme" }).click();
  assert.ok((await brightness()) < 60);

  await page.reload();
  await page.getByRole("button", { name: "Use the light theme" }).waitFor();
  assert.ok((await brightness()) < 60);
});

test("search, move, open, go back and help work without a mouse", async (t) => {
  await server.ingest(key, parcel("keys-1", "bumblebee"), "bumblebee");
  await server.ingest(key, parcel("keys-2", "bumblebee"), "bumblebee");
  const page = await signedIn(t);
  const focused = () => page.evaluate(() => document.activeElement.textContent);

  await page.goto(`${server.url}/#/live`);
  await page.getByRole("heading", { name: "Live" }).waitFor();
  await page.keyboard.press("/");
  await eventually("the focus in the field", () => page.evaluate(() => document.activeElement.id === "query"));
  await page.keyboard.type("bumblebee");
  await page.keyboard.press("Enter");
  await hits(page).nth(1).waitFor();
  await page.keyboard.press("ArrowDown");
  const first = await focused();
  await page.keyboard.press("j");
  const second = await focused();
  await page.keyboard.press("k");
  assert.equal(await focused(), first);
  assert.deepEqual([first, second].sort(), ["keys-1", "keys-2"]);

  await page.keyboard.press("Enter");
  await page.locator(".turn").first().waitFor();
  await page.keyboard.press("Escape");
  await hits(page).first().waitFor();
  await eventually("the focus back on the row", async () => (await focused()) === first);

  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
});

test("nothing is wider than a phone", async (t) => {
  const word = "wideword".repeat(40);
  const title = `marsupial ${word}`;
  const turns = [{ speaker: "customer", text: `marsupial ${word}` }, { speaker: "agent", private: true, text: word }];
  const id = await server.ingest(key, parcel("phone-1", "x", { title, turns, tags: [word.slice(0, 100)] }), "marsupial");
  const page = await signedIn(t, { viewport: { width: 360, height: 740 } });
  const places = [
    ["#/search?q=marsupial", ".result"],
    [`#/conversations/${id}`, ".turn"],
    ["#/conversations", "[data-row]"],
    ["#/live", ".tile"],
    ["#/dead-letters", ".empty"],
    ["#/trends", ".empty, .card"],
    ["#/analyzers", "[data-row]"],
    ["#/analyzers/intent", "form"],
    ["#/analyzers?new=scorecard", "form"],
    ["#/analyzers?tab=backfills", ".empty, .backfill"],
    ["#/analyzers?tab=usage", ".empty, .card"],
    ["#/analyzers?tab=settings", "form"],
  ];

  for (const [hash, shown] of places) {
    await page.goto(`${server.url}/${hash}`);
    await page.locator(shown).first().waitFor();
    assert.ok((await overflow(page)) <= 0, `${hash} is ${await overflow(page)} px too wide`);
  }
});

test("what was concluded is shown with what was said, leads to a search, and is counted over time", async (t) => {
  const said = (speaker, text) => ({ speaker, text });
  const document = {
    id: "analysed-1",
    status: "ended",
    language: "en",
    started_at: new Date().toISOString(),
    turns: [
      said("customer", "The snickersnee is terrible, I hate this awful snickersnee."),
      said("agent", "We will send another one to you on Monday."),
      said("customer", "<b>Thank</b> you, but the second snickersnee was terrible too."),
    ],
  };
  const id = await server.ingest(key, document, "snickersnee");
  await eventually("the analyses", async () => {
    const headers = { Authorization: `Bearer ${key}` };
    const answer = await fetch(`${server.url}/v1/conversations/${id}`, { headers });
    const made = (await answer.json()).analyses.map(({ analyzer }) => analyzer);
    return ["sentiment", "summary", "topics"].every((name) => made.includes(name));
  });
  const page = await signedIn(t);
  await page.goto(`${server.url}/#/conversations/${id}`);
  const about = page.getByRole("complementary", { name: "About this conversation" });
  await about.getByRole("heading", { name: "Sentiment" }).waitFor();
  await about.getByRole("link", { name: "negative" }).waitFor();
  await about.getByRole("button", { name: "The snickersnee is terrible" }).first().click();
  assert.match(await page.evaluate(() => document.activeElement.textContent), /snickersnee is terrible/);

  await about.getByRole("link", { name: "snickersnee", exact: true }).click();
  await page.waitForURL(/topic=snickersnee/);
  await page.getByRole("button", { name: /Remove filter.*snickersnee/ }).waitFor();

  await page.getByRole("link", { name: "Trends" }).click();
  await page.getByRole("heading", { name: "Trends" }).waitFor();
  await page.getByRole("img", { name: /: 1, −0/ }).waitFor();
  await page.getByRole("link", { name: "snickersnee", exact: true }).waitFor();
});

test("a conversation is downloaded as JSON and as vCon", async (t) => {
  const id = await server.ingest(key, parcel("export-1", "jabberwock"), "jabberwock");
  const page = await signedIn(t);
  await page.goto(`${server.url}/#/conversations/${id}`);
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    const chunks = [];
    for await (const chunk of await file.createReadStream()) chunks.push(chunk);
    return { name: file.suggestedFilename(), body: JSON.parse(Buffer.concat(chunks).toString()) };
  };

  const json = await download("Download as JSON");
  const vcon = await download("Download as vCon");

  assert.equal(json.name, "export-1.json");
  assert.equal(json.body.id, id);
  assert.equal(vcon.name, "export-1.vcon.json");
  assert.ok("vcon" in vcon.body);
});

test("deleting asks first, and the conversation is gone from every page", async (t) => {
  const id = await server.ingest(key, parcel("delete-1", "flibbertigibbet"), "flibbertigibbet");
  const page = await signedIn(t);
  await search(page, "flibbertigibbet");
  await page.getByText("Words", { exact: true }).click();
  await page.waitForURL(/mode=keyword/);
  await hits(page).first().locator("h2 a").click();

  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await server.request(key, "GET", `/v1/conversations/${id}`)).status, 200);

  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete for good" }).click();
  await page.getByRole("heading", { name: "Nothing found" }).waitFor();
  assert.equal((await server.request(key, "GET", `/v1/conversations/${id}`)).status, 404);

  await page.goto(`${server.url}/#/conversations/${id}`);
  await page.getByRole("heading", { name: "Not here" }).waitFor();
});

test("a key without admin is offered neither delete nor redrive", async (t) => {
  const id = await server.ingest(key, parcel("reader-1", "gobbledygook"), "gobbledygook");
  const reader = await server.createKey("acme", ["search", "read"]);
  const page = await openPage(t);
  await signIn(page, { withKey: reader });

  await page.goto(`${server.url}/#/conversations/${id}`);
  await page.locator(".turn").first().waitFor();

  assert.equal(await page.getByRole("button", { name: "Delete", exact: true }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Download as JSON" }).count(), 1);
});

test("dead letters are chosen, redriven and gone", async (t) => {
  // A healthy server has no dead letters and no way to ask for one: these are put into its answer.
  const letter = (id) => ({ id, kind: "hydrate", cause: `<b>provider answered 403</b> for ${id}`, attempts: 5,
    enqueued_at: "2026-11-22T10:00:00Z", given_up_at: "2026-11-22T11:00:00Z" });
  let letters = ["11", "12", "13"].map(letter);
  const asked = [];
  const page = await signedIn(t);
  await page.route("**/v1/dead-letters?*", (route) => route.fulfill({ json: { dead_letters: letters, next_cursor: null } }));
  await page.route("**/v1/dead-letters/redrive", (route) => {
    const { ids } = route.request().postDataJSON();
    asked.push(ids ?? "all");
    const before = letters.length;
    letters = ids === undefined ? [] : letters.filter(({ id }) => !ids.includes(id));
    return route.fulfill({ json: { redriven: before - letters.length } });
  });

  await page.getByRole("link", { name: "Dead letters" }).click();
  await page.getByRole("checkbox", { name: "Select hydrate 12" }).check();
  await page.getByRole("button", { name: "Redrive 1 selected" }).click();
  await eventually("two rows", async () => (await page.locator(".letters tbody tr").count()) === 2);
  await page.getByRole("button", { name: "Redrive all" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Redrive all" }).click();
  await page.getByRole("heading", { name: "No dead letters" }).waitFor();

  assert.deepEqual(asked, [["12"], "all"]);
});

test("the redrive route takes what the dashboard sends", async () => {
  const all = await server.request(key, "POST", "/v1/dead-letters/redrive", {});
  const some = await server.request(key, "POST", "/v1/dead-letters/redrive", { ids: ["999999"] });

  assert.deepEqual(all, { status: 200, body: { redriven: 0 } });
  assert.deepEqual(some, { status: 200, body: { redriven: 0 } });
});

test("the live counters move when a conversation arrives", async (t) => {
  const page = await signedIn(t);
  await page.goto(`${server.url}/#/live`);
  const tile = page.locator(".tile", { hasText: "Conversations" }).locator(".tile-value");
  await eventually("a number", async () => /\d/.test(await tile.textContent()));
  const before = Number((await tile.textContent()).replace(/\D/g, ""));

  await server.ingest(key, parcel("live-1", "thingamajig"), "thingamajig");

  await eventually("the counter", async () => Number((await tile.textContent()).replace(/\D/g, "")) === before + 1);
  assert.equal(await page.locator(".chart").count(), 2);
});

test("an empty company is shown how to send the first conversation", async (t) => {
  await server.createCompany("fresh");
  const fresh = await server.createKey("fresh", kScopes);
  const page = await openPage(t);
  await signIn(page, { withKey: fresh });

  await search(page, "anything");
  await page.getByRole("heading", { name: "No conversations yet" }).waitFor();

  const command = await page.locator(".command code").textContent();
  assert.ok(command.includes(`${server.url}/v1/conversations`), command);
  assert.ok(!command.includes(fresh));
});
