// The HTTP API as the dashboard uses it (docs/http-api.md). The key goes into one header and nowhere
// else. Fields that the server leaves out when empty are optional here.
import type {
  Analysis,
  AnalysisSettings,
  Analyzer,
  AnalyzerWithVersions,
  Backfill,
  BackfillAction,
  BackfillFilter,
  Definition,
  Estimate,
  Override,
  Usage,
} from "./analysis_types";

export interface WhoAmI {
  company: string;
  key: string;
  label?: string;
  scopes: string[];
}

export interface SnippetPart {
  text: string;
  hit?: boolean;
}

export interface ChunkHit {
  ordinal: number;
  first_turn: number;
  last_turn: number;
  score: number;
  vector_score: number;
  word_score: number;
  snippet: SnippetPart[];
}

export interface SearchHit {
  id: string;
  external_id?: string;
  source?: string;
  channel?: string;
  language?: string;
  title?: string;
  started_at?: string | null;
  turn_count: number;
  score: number;
  chunks: ChunkHit[];
}

export interface SearchAnswer {
  hits: SearchHit[];
  next_cursor?: string | null;
  mode: string;
  model?: string;
  exact?: boolean;
  degraded?: string | null;
  took_ms: number;
}

export interface ConversationSummary {
  id: string;
  external_id?: string;
  source?: string;
  channel?: string;
  language?: string;
  title?: string;
  status?: string;
  started_at?: string | null;
  turn_count: number;
  received_at?: string;
}

export interface ConversationPage {
  conversations: ConversationSummary[];
  next_cursor?: string | null;
}

export interface Turn {
  id?: string;
  speaker: string;
  name?: string;
  text?: string;
  at?: string;
  private?: boolean;
}

export interface Party {
  id?: string;
  name?: string;
  role?: string;
  address?: string;
}

export interface TrendBucket {
  from: string; // A day: "2026-11-23".
  count: number; // Of labels: a conversation may have several topics.
  score?: number;
  labels: Record<string, number>;
}

export interface Trends {
  analyzer: string;
  bucket: string;
  buckets: TrendBucket[];
}

export interface Conversation {
  id: string;
  source?: string;
  external_id?: string;
  channel?: string;
  language?: string;
  title?: string;
  status?: string;
  started_at?: string;
  ended_at?: string;
  parties?: Party[];
  turns?: Turn[];
  tags?: string[];
  metadata?: Record<string, unknown>;
  vendor_analysis?: Record<string, unknown>;
  extra?: Record<string, unknown>;
  analyses?: Analysis[];
  revision?: number;
  received_at?: string;
  updated_at?: string;
}

export interface QueueKind {
  kind: string;
  ready: number;
  delayed: number;
  leased: number;
  dead: number;
  oldest_age_ms: number;
}

export interface Status {
  company: string;
  conversations: number;
  turns: number;
  chunks: number;
  chunks_without_vector: number;
  events: number;
  embedder?: { model: string; ready: boolean };
  index?: { conversations: number; chunks: number; vectors: number; bytes: number };
  queue: QueueKind[];
  accepted_total: number;
  indexed_total: number;
}

export interface DeadLetter {
  id: string;
  kind: string;
  cause: string;
  attempts: number;
  conversation_id?: string;
  enqueued_at?: string;
  given_up_at?: string;
}

export interface DeadLetterPage {
  dead_letters: DeadLetter[];
  next_cursor?: string | null;
}

// An answer that is not 2xx, or none at all (status 0).
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId: string,
    readonly retryAfterS: number | null,
  ) {
    super(message);
  }
}

// Longer than the server's own limit for an answer (30 s): so its 503 arrives rather than our doubt.
const kTimeoutMs = 35_000;

async function readError(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("Retry-After") ?? NaN);
  const retryAfterS = Number.isFinite(retryAfter) ? retryAfter : null;
  try {
    const body = (await response.json()) as { code?: string; message?: string; request_id?: string };
    const message = body.message ?? response.statusText;
    return new ApiError(response.status, body.code ?? "", message, body.request_id ?? "", retryAfterS);
  } catch {
    return new ApiError(response.status, "", response.statusText, "", retryAfterS);
  }
}

const analyzerPath = (name: string): string => `/v1/analyzers/${encodeURIComponent(name)}`;
const overridePath = (conversation: string, analyzer: string): string =>
  `/v1/conversations/${encodeURIComponent(conversation)}/analyses/${encodeURIComponent(analyzer)}/override`;

export class Client {
  // `onRefused` is told when the server no longer takes the key.
  constructor(
    private readonly key: string,
    private readonly onRefused: () => void,
  ) {}

  whoami(): Promise<WhoAmI> {
    return this.json("GET", "/v1/whoami");
  }

  search(body: object, signal: AbortSignal): Promise<SearchAnswer> {
    return this.json("POST", "/v1/search", { body, signal });
  }

  conversations(parameters: URLSearchParams, signal: AbortSignal): Promise<ConversationPage> {
    return this.json("GET", `/v1/conversations?${parameters}`, { signal });
  }

  conversation(id: string, signal: AbortSignal): Promise<Conversation> {
    return this.json("GET", `/v1/conversations/${encodeURIComponent(id)}`, { signal });
  }

  trends(analyzer: string, from: string, bucket: string, signal: AbortSignal): Promise<Trends> {
    const parameters = new URLSearchParams({ analyzer, bucket });
    if (from !== "") parameters.set("from", from);
    return this.json("GET", `/v1/analyses/trends?${parameters}`, { signal });
  }

  async analyzers(signal: AbortSignal): Promise<Analyzer[]> {
    return (await this.json<{ analyzers: Analyzer[] }>("GET", "/v1/analyzers", { signal })).analyzers;
  }

  analyzer(name: string, signal: AbortSignal): Promise<AnalyzerWithVersions> {
    return this.json("GET", analyzerPath(name), { signal });
  }

  putAnalyzer(name: string, body: Definition): Promise<Analyzer> {
    return this.json("PUT", analyzerPath(name), { body });
  }

  async deleteAnalyzer(name: string): Promise<void> {
    await this.send("DELETE", analyzerPath(name));
  }

  analysisSettings(signal: AbortSignal): Promise<AnalysisSettings> {
    return this.json("GET", "/v1/analyses/settings", { signal });
  }

  putAnalysisSettings(body: AnalysisSettings): Promise<AnalysisSettings> {
    return this.json("PUT", "/v1/analyses/settings", { body });
  }

  usage(from: string, to: string, signal: AbortSignal): Promise<Usage> {
    return this.json("GET", `/v1/analyses/usage?${new URLSearchParams({ from, to })}`, { signal });
  }

  async estimateBackfill(filter: BackfillFilter, signal: AbortSignal): Promise<Estimate> {
    const body = { ...filter, estimate_only: true };
    return (await this.json<{ estimate: Estimate }>("POST", "/v1/backfills", { body, signal })).estimate;
  }

  startBackfill(filter: BackfillFilter): Promise<Backfill> {
    return this.json("POST", "/v1/backfills", { body: filter });
  }

  async backfills(signal: AbortSignal): Promise<Backfill[]> {
    return (await this.json<{ backfills: Backfill[] }>("GET", "/v1/backfills", { signal })).backfills;
  }

  changeBackfill(id: string, action: BackfillAction): Promise<Backfill> {
    return this.json("POST", `/v1/backfills/${encodeURIComponent(id)}/${action}`);
  }

  // All that are active if `analyzers` is empty.
  analyse(conversation: string, analyzers: string[]): Promise<{ queued: string[] }> {
    const body = analyzers.length > 0 ? { analyzers } : {};
    return this.json("POST", `/v1/conversations/${encodeURIComponent(conversation)}/analyses`, { body });
  }

  putOverride(conversation: string, analyzer: string, body: { result: unknown; note?: string }): Promise<Override> {
    return this.json("PUT", overridePath(conversation, analyzer), { body });
  }

  async deleteOverride(conversation: string, analyzer: string): Promise<void> {
    await this.send("DELETE", overridePath(conversation, analyzer));
  }

  async export(id: string, form: "json" | "vcon"): Promise<Blob> {
    const path = `/v1/conversations/${encodeURIComponent(id)}${form === "vcon" ? "?format=vcon" : ""}`;
    return (await this.send("GET", path)).blob();
  }

  deleteConversation(id: string): Promise<{ deleted: boolean }> {
    return this.json("DELETE", `/v1/conversations/${encodeURIComponent(id)}`);
  }

  status(signal: AbortSignal): Promise<Status> {
    return this.json("GET", "/v1/status", { signal });
  }

  deadLetters(cursor: string, signal: AbortSignal, limit = 50): Promise<DeadLetterPage> {
    const parameters = new URLSearchParams({ limit: String(limit) });
    if (cursor !== "") parameters.set("cursor", cursor);
    return this.json("GET", `/v1/dead-letters?${parameters}`, { signal });
  }

  // All of them if `ids` is not given.
  redrive(ids?: string[]): Promise<{ redriven: number }> {
    return this.json("POST", "/v1/dead-letters/redrive", { body: ids === undefined ? {} : { ids } });
  }

  private async json<Answer>(
    method: string,
    path: string,
    options: { body?: object; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    return (await this.send(method, path, options)).json() as Promise<Answer>;
  }

  private async send(
    method: string,
    path: string,
    options: { body?: object; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.key}` };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    const timeout = AbortSignal.timeout(kTimeoutMs);
    const request: RequestInit = {
      method,
      headers,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    };
    if (options.body !== undefined) request.body = JSON.stringify(options.body);
    let response: Response;
    try {
      response = await fetch(path, request);
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      throw new ApiError(0, "unreachable", "The server did not answer.", "", null);
    }
    if (response.ok) return response;
    if (response.status === 401) this.onRefused();
    throw await readError(response);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
