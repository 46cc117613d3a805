import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { activeFilters, dayEnd, dayStart, parseSearch, searchBody, searchParameters } = await load("search_query.ts");
const kNow = new Date("2026-11-23T12:00:00Z");
const body = (address, cursor = "") => searchBody(parseSearch(new URLSearchParams(address)), 20, cursor, kNow);

test("an address is read and written back the same", () => {
  const addresses = [
    "q=refund",
    "q=r%C3%B8d+gr%C3%B8d&mode=keyword&channel=chat%2Cvoice&party=Holm%2C+Mette",
    "q=a&time=7d&metadata=plan%3Dpro&metadata=note%3Da%3Db",
    "q=a&from=2026-01-01&to=2026-01-31",
    "q=a&label=intent%3Acancel+order&label=vip%3Aa%3Ab&score=quality%3A0.5..1",
  ];

  for (const address of addresses) {
    assert.equal(searchParameters(parseSearch(new URLSearchParams(address))).toString(), address);
  }
});

test("what no reader of ours wrote into the address is left out", () => {
  const query = parseSearch(new URLSearchParams("q=a&mode=magic&time=constructor&from=yesterday&metadata=plan&metadata==x&label=Intent:x&label=intent:&score=quality:..&score=quality:a..1"));

  assert.equal(searchParameters(query).toString(), "q=a");
});

test("one value is sent as a string and several as a list", () => {
  const { filters } = body("q=a&channel=chat&language=da%2C+en%2C&metadata=plan%3Dpro&metadata=plan%3Dfree&metadata=csat%3D4");

  assert.deepEqual(filters, {
    channel: "chat",
    language: { in: ["da", "en"] },
    metadata: { plan: { in: ["pro", "free"] }, csat: "4" },
  });
});

test("a comma in a party's name does not make two of it", () => {
  assert.deepEqual(body("q=a&party=Holm%2C+Mette").filters, { party: "Holm, Mette" });
});

test("a span of time counts back from now and days are whole days of the reader", () => {
  assert.deepEqual(body("q=a&time=7d").filters, { from: "2026-11-16T12:00:00.000Z" });
  const { from, to } = body("q=a&from=2026-01-31&to=2026-01-31").filters;
  assert.equal(new Date(from).getHours(), 0);
  assert.equal(new Date(to).getDate(), 1);
  assert.equal(from, dayStart("2026-01-31"));
  assert.equal(to, dayStart("2026-02-01"));
  assert.equal(to, dayEnd("2026-01-31"));
});

test("labels and scores of analyzers are sent under the analyzer's name", () => {
  const { filters } = body("q=a&label=intent%3Acancel+order%2C+now&label=intent%3Arefund&label=custom%3Avip%3Dtrue&score=quality%3A0.5..1&score=mood%3A..-0.25&score=intent%3A0..1");

  assert.deepEqual(filters, {
    analyses: {
      intent: { in: ["cancel order, now", "refund"] },
      custom: "vip=true",
      quality: { gte: 0.5, lte: 1 },
      mood: { lte: -0.25 },
    },
  });
});

test("a range of a score is written for people", () => {
  const query = parseSearch(new URLSearchParams("label=intent%3A5..&score=quality%3A0.5..1&score=quality%3A0.5..&score=quality%3A..1"));

  assert.deepEqual(activeFilters(query).map(({ label }) => label), ["intent: 5..", "quality: 0.5 to 1", "quality: 0.5 or more", "quality: up to 1"]);
});

test("without filters and cursor none are sent", () => {
  assert.deepEqual(body("q=+late+parcel+"), { query: "late parcel", mode: "hybrid", limit: 20, chunks: 3 });
  assert.equal(body("q=a", "next").cursor, "next");
});

test("removing every chip leaves the words and the mode", () => {
  let query = parseSearch(new URLSearchParams("q=a&mode=vector&time=7d&tag=x&party=y&metadata=a%3D1&metadata=b%3D2&label=a%3A1&score=b%3A1.."));
  assert.equal(activeFilters(query).length, 7);

  while (activeFilters(query).length > 0) query = activeFilters(query)[0].without;

  assert.equal(searchParameters(query).toString(), "q=a&mode=vector");
});
