// One search result: what the conversation is, and its best passages.
import type { ChunkHit, SearchHit } from "../api";
import { h } from "../dom";
import { dateOf, exactOf, nameOf, plural, score, turnsOf } from "../format";
import { foundParameters } from "../hits";
import { conversationHref } from "../route";

function passage(hit: SearchHit, chunk: ChunkHit): HTMLElement {
  const snippet = h("p", { class: "snippet" });
  for (const part of chunk.snippet) {
    snippet.append(part.hit === true ? h("mark", {}, part.text) : part.text);
  }
  const facts = [turnsOf(chunk.first_turn, chunk.last_turn), `score ${score(chunk.score)}`];
  // Zero: not found that way.
  if (chunk.vector_score) facts.push(`meaning ${score(chunk.vector_score)}`);
  if (chunk.word_score) facts.push(`words ${score(chunk.word_score)}`);
  const href = conversationHref(hit.id, foundParameters(hit.chunks, chunk));
  return h(
    "a",
    { class: "passage", href },
    snippet,
    h("span", { class: "passage-facts" }, facts.join("  ·  ")),
  );
}

export function badges(conversation: { channel?: string; language?: string; source?: string }): HTMLElement[] {
  const { channel, language, source } = conversation;
  return [channel, language, source]
    .filter((text): text is string => text !== undefined && text !== "")
    .map((text) => h("span", { class: "badge" }, text));
}

export function resultItem(hit: SearchHit): HTMLLIElement {
  const name = nameOf(hit);
  const isNamed = name !== hit.external_id;
  return h(
    "li",
    { class: "result" },
    h(
      "div",
      { class: "result-head" },
      h(
        "h2",
        {},
        h("a", { href: conversationHref(hit.id, foundParameters(hit.chunks, undefined)), "data-row": hit.id }, name),
      ),
      h("time", { class: "muted", datetime: hit.started_at ?? undefined, title: exactOf(hit.started_at) }, dateOf(hit.started_at)),
    ),
    h(
      "div",
      { class: "facts" },
      ...badges(hit),
      isNamed && h("span", { class: "mono small" }, hit.external_id),
      h("span", {}, plural(hit.turn_count, "turn", "turns")),
      h("span", { class: "result-score", title: "Orders this answer; it does not compare between searches" }, `score ${score(hit.score)}`),
    ),
    h("div", { class: "passages" }, ...hit.chunks.map((chunk) => passage(hit, chunk))),
  );
}
