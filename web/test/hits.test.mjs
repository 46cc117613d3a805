import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { cut, foundParameters, parseFound, stopsOf, wordPattern } = await load("hits.ts");
const turns = (...texts) => texts.map((text) => ({ speaker: "customer", text }));
const chunk = (first_turn, last_turn, ...words) => ({
  first_turn,
  last_turn,
  snippet: words.map((text) => ({ text, hit: true })),
});

test("the chunk that was opened comes first and the words come once", () => {
  const chunks = [chunk(0, 2, "Late"), chunk(5, 6, "late", "parcel")];

  const found = parseFound(foundParameters(chunks, chunks[1]));

  assert.deepEqual(found.ranges, [{ first: 5, last: 6 }, { first: 0, last: 2 }]);
  assert.deepEqual(found.words, ["late", "parcel"]);
});

test("the stops are the turns that say a word, else the first of their range", () => {
  const said = turns("hello", "the parcel", "bye", "nothing here", "nor here");
  const found = { ranges: [{ first: 3, last: 4 }, { first: 0, last: 2 }], words: ["parcel"] };

  assert.deepEqual(stopsOf(said, found), { stops: [1, 3], best: 1 });
});

test("ranges beyond the conversation are passed over", () => {
  const found = parseFound(new URLSearchParams("hits=7-9.x.1-2-3.0-99999999999&word=a"));

  assert.deepEqual(stopsOf(turns("a"), found), { stops: [], best: 0 });
  assert.deepEqual(stopsOf(turns("a"), { ranges: [{ first: 0, last: 999999999 }], words: ["a"] }).stops, [0]);
});

test("words are matched whole, in any case and alphabet, and are never patterns", () => {
  const marked = (text, ...words) => cut(text, wordPattern(words)).filter(({ hit }) => hit).map(({ text: part }) => part);

  assert.deepEqual(marked("Måler, måleren og MÅLER", "måler"), ["Måler", "MÅLER"]);
  assert.deepEqual(marked("a.c abc (x", "a.c", "(x"), ["a.c", "(x"]);
  assert.deepEqual(marked("BD-20931/x", "bd-20931/x"), ["BD-20931/x"]);
  assert.equal(wordPattern([]), null);
});

test("the pieces of a text make up the text", () => {
  const text = "parcel by parcel, no PARCELS";

  const parts = cut(text, wordPattern(["parcel"]));

  assert.equal(parts.map((part) => part.text).join(""), text);
  assert.deepEqual(parts.map((part) => part.hit), [true, false, true, false]);
});
