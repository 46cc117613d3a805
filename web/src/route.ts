// The address after "#": which page, and what it shows. Never the key.

export type PageName = "search" | "conversation" | "browse" | "trends" | "live" | "dead-letters";

export interface Route {
  page: PageName;
  id: string; // Of the conversation; else empty.
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
