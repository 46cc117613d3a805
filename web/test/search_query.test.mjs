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
  ];

  for (const address of addresses) {
    assert.equal(searchParameters(parseSearch(new URLSearchParams(address))).toString(), address);
  }
});

test("what no reader of ours wrote into the address is left out", () => {
  const query = parseSearch(new URLSearchParams("q=a&mode=magic&time=constructor&from=yesterday&metadata=plan&metadata==x"));

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

test("without filters and cursor none are sent", () => {
  assert.deepEqual(body("q=+late+parcel+"), { query: "late parcel", mode: "hybrid", limit: 20, chunks: 3 });
  assert.equal(body("q=a", "next").cursor, "next");
});

test("removing every chip leaves the words and the mode", () => {
  let query = parseSearch(new URLSearchParams("q=a&mode=vector&time=7d&tag=x&party=y&metadata=a%3D1&metadata=b%3D2"));
  assert.equal(activeFilters(query).length, 5);

  while (activeFilters(query).length > 0) query = activeFilters(query)[0].without;

  assert.equal(searchParameters(query).toString(), "q=a&mode=vector");
});
