import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { analyzerHref, conversationHref, labelHref, parseRoute } = await load("route.ts");

test("each address leads to its page and an unknown one to the search", () => {
  const pages = ["", "#/", "#/search?q=a", "#/conversations", "#/conversations/cnv_1", "#/live", "#/dead-letters", "#/x",
    "#/analyzers", "#/analyzers?tab=usage", "#/analyzers/intent", "#/analyzers?new="];

  assert.deepEqual(
    pages.map((hash) => parseRoute(hash).page),
    ["search", "search", "search", "browse", "conversation", "live", "dead-letters", "search", "analyzers", "analyzers", "analyzer", "analyzer"],
  );
});

test("an id and its parameters survive the address, whatever is in them", () => {
  const id = 'a/b?c#d"%';

  const route = parseRoute(conversationHref(id, new URLSearchParams({ word: "a?b&c" })));

  assert.equal(route.id, id);
  assert.equal(route.parameters.get("word"), "a?b&c");
  assert.equal(parseRoute("#/conversations/%E0%A4%A").id, "%E0%A4%A");
});

test("a label leads to the search for it, also where its words are markup, commas or signs of an address", () => {
  const filtersOf = (analyzer, label) => [...parseRoute(labelHref(analyzer, label)).parameters];

  assert.deepEqual(filtersOf("sentiment", "negative"), [["sentiment", "negative"]]);
  assert.deepEqual(filtersOf("topics", "blå måler"), [["topic", "blå måler"]]);
  assert.deepEqual(filtersOf("topics", "bolt, nut"), [["label", "topics:bolt, nut"]]);
  const odd = '<img src=x>&q=#/?"javascript:alert(1)';
  assert.deepEqual(filtersOf("intent", odd), [["label", `intent:${odd}`]]);
  assert.ok(labelHref("intent", odd).startsWith("#/search?"));
  assert.equal(parseRoute(analyzerHref("quality")).id, "quality");
});
