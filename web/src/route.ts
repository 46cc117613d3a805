// The address after "#": which page, and what it shows. Never the key.

export type PageName = "search" | "conversation" | "browse" | "trends" | "analyzers" | "analyzer" | "live" | "dead-letters";

export interface Route {
  page: PageName;
  id: string; // Of the conversation, or the analyzer's name; else empty.
  parameters: URLSearchParams;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A broken escape: looked up as it stands, and not found.
  }
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [first = "", second = ""] = path.split("/");
  const parameters = new URLSearchParams(query);
  if (first === "conversations" && second !== "") {
    return { page: "conversation", id: decoded(second), parameters };
  }
  if (first === "conversations") return { page: "browse", id: "", parameters };
  if (first === "analyzers" && (second !== "" || parameters.has("new"))) {
    return { page: "analyzer", id: decoded(second), parameters };
  }
  if (first === "analyzers") return { page: "analyzers", id: "", parameters };
  if (first === "trends" || first === "live" || first === "dead-letters") return { page: first, id: "", parameters };
  return { page: "search", id: "", parameters };
}

function withQuery(path: string, parameters: URLSearchParams): string {
  const query = parameters.toString();
  return query === "" ? path : `${path}?${query}`;
}

export const searchHref = (parameters: URLSearchParams): string => withQuery("#/search", parameters);

export const browseHref = (parameters: URLSearchParams): string =>
  withQuery("#/conversations", parameters);

export const conversationHref = (id: string, parameters = new URLSearchParams()): string =>
  withQuery(`#/conversations/${encodeURIComponent(id)}`, parameters);

export const trendsHref = (parameters: URLSearchParams): string => withQuery("#/trends", parameters);

export const analyzersHref = (tab: string): string =>
  withQuery("#/analyzers", new URLSearchParams(tab === "" ? {} : { tab }));

export const analyzerHref = (name: string): string => `#/analyzers/${encodeURIComponent(name)}`;

// The search for conversations that were given this label. Commas part several values of a text filter.
export function labelHref(analyzer: string, label: string): string {
  const filter = analyzer === "sentiment" ? "sentiment" : analyzer === "topics" ? "topic" : "";
  const isPlain = filter !== "" && !label.includes(",");
  return searchHref(new URLSearchParams(isPlain ? { [filter]: label } : { label: `${analyzer}:${label}` }));
}
