#include "cli/commands.h"

#include <algorithm>
#include <charconv>

namespace samtale::cli {
namespace {

// clang-format off
constexpr OptionInfo kCommon[] = {
  {"--json", "", "Print JSON, for programs"},
  {"--company", "NAME", "For which company (or SAMTALE_COMPANY); may be left out if there is only one"},
  {"--data", "DIR", "The data folder (data_dir)"},
  {"--config", "FILE", "The configuration file (or SAMTALE_CONFIG)"},
  {"--set", "KEY=VALUE", "Set one key of the configuration", "", 0, 0, true},
  {"--url", "URL", "Talk to a server elsewhere (or SAMTALE_URL)"},
  {"--key-file", "FILE", "File with the API key for --url, mode 0600 (or SAMTALE_KEY_FILE)"},
};

constexpr OptionInfo kAnalyze[] = {
  {"--analyzer", "NAME", "Only by this analyzer; default all that are active", "", 0, 0, true},
  {"--backfill", "", "All conversations the company has, instead of one"},
  {"--from", "TIME", "Of a back-fill: started at or after"},
  {"--to", "TIME", "Of a back-fill: started before"},
  {"--channel", "NAME", "Of a back-fill: only of this channel"},
  {"--source", "NAME", "Of a back-fill: only from this source"},
  {"--estimate", "", "Say what a back-fill would cost, and start nothing"},
  {"--yes", "", "Do not ask whether it may cost that"},
  {"--no-wait", "", "Start the back-fill and leave it to itself"},
};
constexpr OptionInfo kServe[] = {
  {"--port", "N", "The port to listen on (http.port)", "", 0, 65535},
  {"--address", "ADDRESS", "The address to listen on (http.address)"},
  {"--role", "ROLES", "What this server does, of those that share a store (cluster.roles): all, or some of gateway,indexer,searcher,analyst,keeper"},
  {"--ready-file", "FILE", "Written with {\"url\":...} once the server listens"},
};
constexpr OptionInfo kMigrate[] = {
  {"--sql", "", "Print the SQL and change nothing"},
  {"--from", "VERSION", "Of --sql: what comes after this version; default 0, all of it", "", 0, 1'000'000},
  {"--grant-to", "ROLE", "Let this role of the database run a server on the tables"},
  {"--token-role", "ROLE", "Let this role read the conversations, chunks and analyses of its token's company_id (Supabase: authenticated)"},
};
constexpr OptionInfo kCompanyCreate[] = {
  {"--weight", "NUMBER", "Share of the workers against other companies; default 1"},
  {"--events-per-second", "N", "Rate of this company; default limits.events_per_second", "", 1, 1'000'000'000},
  {"--conversations-max", "N", "Quota of conversations; default none", "", 1, 1'000'000'000'000},
};
constexpr OptionInfo kKeyCreate[] = {
  {"--scope", "SCOPE", "What the key may do; repeat for more; default search and read", "ingest|search|read|admin", 0, 0, true},
  {"--label", "TEXT", "What the key is for"},
  {"--expires", "TIME", "When it ends: 2027-01-31 or 2027-01-31T12:00:00Z"},
  {"--save", "FILE", "Write the key to a new file with mode 0600 instead of the screen"},
};
constexpr OptionInfo kEndpointCreate[] = {
  {"--preset", "NAME", "Which provider sends: standard-webhooks, retell, ... (GET /v1/presets)"},
  {"--source", "NAME", "What its conversations carry as source; default the preset"},
  {"--secret-file", "FILE", "File with the provider's signing secret; default a new one"},
  {"--idle-timeout", "SECONDS", "When a stream without an end counts as ended", "", 1, 604'800},
};
constexpr OptionInfo kEndpointRotate[] = {
  {"--secret-file", "FILE", "File with the new secret; default a new one"},
  {"--keep-old", "SECONDS", "How long the old secret goes on; default a day", "", 0, 2'592'000},
};
constexpr OptionInfo kSubscriptionCreate[] = {
  {"--event", "NAME", "What to tell it; repeat for more; default all, also those to come", "analysis.completed", 0, 0, true},
};
constexpr OptionInfo kSubscriptionRotate[] = {
  {"--keep-old", "SECONDS", "How long the old secret signs too; default a day", "", 0, 2'592'000},
};
constexpr OptionInfo kImport[] = {
  {"--create-companies", "", "Make companies that are not there yet"},
  {"--rejected", "FILE", "Where refused records go; default FILE.rejected beside the input"},
};
constexpr OptionInfo kSearch[] = {
  {"--mode", "MODE", "By words, by meaning or by both; default hybrid", "hybrid|vector|keyword"},
  {"--limit", "N", "How many conversations; default 10", "", 1, 100},
  {"--chunks", "N", "How many passages of each; default 1", "", 1, 10},
  {"--exact", "", "Compare every vector, also of a large company"},
  {"--cursor", "TEXT", "Go on where an answer ended"},
  {"--min-sequence", "TEXT", "Only by an index that has what an answer of this sequence told of"},
  {"--from", "TIME", "Started at or after"},
  {"--to", "TIME", "Started before"},
  {"--channel", "NAME", "chat, voice, email, ...; repeat for any of several", "", 0, 0, true},
  {"--source", "NAME", "Where it came from", "", 0, 0, true},
  {"--language", "CODE", "da, en, ...", "", 0, 0, true},
  {"--party", "TEXT", "Who took part", "", 0, 0, true},
  {"--tag", "TEXT", "What it is marked with", "", 0, 0, true},
  {"--metadata", "KEY=VALUE", "A value the conversation carries", "", 0, 0, true},
  {"--analysis", "NAME=LABEL", "What an analyzer concluded: sentiment=negative", "", 0, 0, true},
};
constexpr OptionInfo kExport[] = {
  {"--format", "FORMAT", "Conversations as JSON Lines or vCon, or the list as CSV; default jsonl", "jsonl|vcon|csv"},
  {"--output", "FILE", "Default standard output"},
  {"--from", "TIME", "Started at or after"},
  {"--to", "TIME", "Started before"},
  {"--channel", "NAME", "Only of this channel"},
  {"--source", "NAME", "Only from this source"},
};
constexpr OptionInfo kDelete[] = {{"--yes", "", "Do not ask"}};
constexpr OptionInfo kDeadLetterList[] = {
  {"--limit", "N", "How many; default 50", "", 1, 200},
  {"--cursor", "TEXT", "Go on where a list ended"},
};
constexpr OptionInfo kUsage[] = {
  {"--from", "DATE", "First day (UTC), like 2026-11-01; default the month's first"},
  {"--to", "DATE", "Last day; default the month's last"},
};
constexpr OptionInfo kTopology[] = {
  {"--fix", "", "Make the queues that are missing or others"},
};
constexpr OptionInfo kReplay[] = {
  {"--from", "TIME", "Events accepted at or after"},
  {"--to", "TIME", "Events accepted before"},
};
constexpr OptionInfo kEval[] = {
  {"--modes", "LIST", "Default keyword,vector,hybrid"},
  {"--limit", "N", "Only the first queries", "", 1, 1'000'000'000},
};

constexpr CommandInfo kCommands[] = {
  {"serve", "", "Run the server",
   "Accepts webhooks, indexes and answers searches until it gets SIGTERM or SIGINT, then ends what is\n"
   "in flight and leaves. Starting it again loses nothing.\n\n"
   "Examples:\n"
   "  samtale serve\n"
   "  samtale serve --data /var/lib/samtale --address 0.0.0.0 --port 9000\n"
   "  samtale serve --port 0 --ready-file /run/samtale/ready.json", kServe, serve},

  {"migrate", "", "Bring the tables in PostgreSQL up to date",
   "`samtale serve` does it at its start too, unless store.migrate is false; this is for those whose server may\n"
   "not change tables, or who choose the moment. Servers may run meanwhile: what waits for a lock gives way\n"
   "after two seconds and tries again, and what was cut short goes on where it stopped. --sql is for psql, or\n"
   "a tool that keeps migrations (Supabase's CLI).\n\n"
   "Examples:\n"
   "  samtale migrate --config samtale.toml\n"
   "  samtale migrate --set store.kind=postgres --set store.url=postgresql://owner@db.example.com/postgres --grant-to samtale\n"
   "  samtale migrate --sql --grant-to samtale > supabase/migrations/20261129000000_samtale.sql", kMigrate, migrate},

  {"partition promote", "COMPANY", "Give a giant company partitions of its own in PostgreSQL",
   "Its rows of the large tables are copied out of the partitions that it shares, which are made anew without\n"
   "them: a table at a time, while servers work. The two then take the old one's place, which keeps everybody\n"
   "from the table for as long as is printed: some hundredths of a second, however many rows there are. As the\n"
   "user who owns the tables. What was cut short is done anew when this is run again. The disk needs room for\n"
   "one more copy of the largest of these partitions.\n\n"
   "Examples:\n  samtale partition promote acme --config samtale.toml", {}, partition_promote},
  {"partition demote", "COMPANY", "Put a company back into the partitions that all share",
   "As samtale partition promote, the other way.\n\n"
   "Examples:\n  samtale partition demote acme --config samtale.toml", {}, partition_demote},

  {"company create", "NAME", "Make a company (a tenant)",
   "NAME is a-z, 0-9 and '-', at most 63 characters, and is never given twice.\n\n"
   "Examples:\n"
   "  samtale company create acme\n"
   "  samtale company create acme --events-per-second 500 --weight 2", kCompanyCreate, company_create},
  {"company list", "", "List the companies",
   "Examples:\n  samtale company list", {}, company_list},
  {"company split", "COMPANY", "Split the index of a giant company over several searchers",
   "Each conversation is then in one slice of its partition's index (cluster.slices), not all of them in one, and\n"
   "each search asks all slices; it finds the same. Searches go on as before until the searchers have\n"
   "loaded their shares: see samtale cluster status.\n\n"
   "Examples:\n  samtale company split acme", {}, company_split},
  {"company join", "COMPANY", "Let the index of a company be whole again",
   "As samtale company split, the other way.\n\n"
   "Examples:\n  samtale company join acme", {}, company_join},

  {"cluster status", "", "List the servers that share the store",
   "PARTITIONS are those whose index a server has loaded; it answers their companies' searches.\n\n"
   "Examples:\n  samtale cluster status --data /var/lib/samtale", {}, cluster_status},

  {"key create", "", "Make an API key, shown once",
   "Examples:\n"
   "  samtale key create --company acme --label dashboard\n"
   "  samtale key create --company acme --scope ingest --save importer.key", kKeyCreate, key_create},
  {"key list", "", "List the API keys of a company", "Examples:\n  samtale key list --company acme", {}, key_list},
  {"key revoke", "ID", "End an API key at once", "Examples:\n  samtale key revoke k7m2q --company acme", {}, key_revoke},

  {"endpoint create", "", "Make a webhook endpoint for a provider",
   "Prints the URL to give to the provider and the secret it signs with.\n\n"
   "Examples:\n"
   "  samtale endpoint create --company acme --preset standard-webhooks\n"
   "  samtale endpoint create --company acme --preset retell --secret-file retell.secret", kEndpointCreate, endpoint_create},
  {"endpoint list", "", "List the webhook endpoints of a company", "Examples:\n  samtale endpoint list --company acme", {}, endpoint_list},
  {"endpoint rotate", "ID", "Give an endpoint a new secret",
   "The old secret goes on for a day unless --keep-old says otherwise, so that no event is refused.\n\n"
   "Examples:\n  samtale endpoint rotate ep4h2 --keep-old 3600", kEndpointRotate, endpoint_rotate},
  {"endpoint revoke", "ID", "End a webhook endpoint at once", "Examples:\n  samtale endpoint revoke ep4h2", {}, endpoint_revoke},

  {"subscription create", "URL", "Send events of a company to a URL of its",
   "Each event is a POST of JSON, signed as Standard Webhooks says with the secret that this prints. URL is\n"
   "https:// and leads to a public address (the operator may allow more: notify.allow_private).\n\n"
   "Examples:\n"
   "  samtale subscription create https://example.com/hooks/samtale --company acme\n"
   "  samtale subscription create https://example.com/hook --event analysis.completed", kSubscriptionCreate, subscription_create},
  {"subscription list", "", "List the subscriptions of a company",
   "A subscription of which every delivery has failed for five days is paused.\n\n"
   "Examples:\n  samtale subscription list --company acme", {}, subscription_list},
  {"subscription rotate", "ID", "Give a subscription a new secret",
   "Deliveries are signed with both for a day unless --keep-old says otherwise.\n\n"
   "Examples:\n  samtale subscription rotate sub_4q7r --keep-old 3600", kSubscriptionRotate, subscription_rotate},
  {"subscription resume", "ID", "Let a paused subscription go on", "Examples:\n  samtale subscription resume sub_4q7r", {}, subscription_resume},
  {"subscription test", "ID", "Send a ping and tell how it went",
   "The exit status is 0 if it was delivered.\n\n"
   "Examples:\n  samtale subscription test sub_4q7r", {}, subscription_test},
  {"subscription revoke", "ID", "End a subscription at once", "Examples:\n  samtale subscription revoke sub_4q7r", {}, subscription_revoke},

  {"import", "FILE...", "Send conversations from files",
   "JSON Lines, a JSON object or array, or vCon; plain, .gz or .zst; - is standard input. Without\n"
   "--company each record goes to the company its \"company_id\" names. Needs a running server. What is\n"
   "refused is listed with its line and written to FILE.rejected; the exit status is then 1. Importing\n"
   "a file again changes nothing.\n\n"
   "Examples:\n"
   "  samtale import conversations.jsonl.zst --create-companies\n"
   "  zcat old.gz | samtale import - --company acme", kImport, import_files},

  {"search", "WORD...", "Search the conversations of a company",
   "Needs a running server.\n\n"
   "Examples:\n"
   "  samtale search refund for a late parcel --company acme\n"
   "  samtale search --mode keyword BD-20931 --from 2026-01-01\n"
   "  samtale search faktura --language da --metadata plan=pro --json\n"
   "  samtale search parcel --analysis sentiment=negative --analysis resolution=unresolved", kSearch, search},
  {"export", "", "Write out conversations",
   "Cells of a CSV that a spreadsheet would run as a formula get a ' in front.\n\n"
   "Examples:\n"
   "  samtale export --company acme --output acme.jsonl\n"
   "  samtale export --company acme --format csv --from 2026-01-01", kExport, export_conversations},
  {"show", "ID", "Print one conversation",
   "ID is the conversation's id (cnv_...) or the id its source knows it by.\n\n"
   "Examples:\n  samtale show order-4711 --company acme", {}, show},
  {"delete", "ID", "Delete one conversation for good",
   "It leaves every answer at once and the files within seconds, and no redelivery brings it back.\n\n"
   "Examples:\n  samtale delete cnv_4q7r --yes --company acme", kDelete, delete_conversation},

  {"status", "", "Tell how far a company's data is",
   "Examples:\n  samtale status --company acme", {}, status},
  {"dead-letter list", "", "List work that was given up, with its cause",
   "Examples:\n  samtale dead-letter list --company acme", kDeadLetterList, dead_letter_list},
  {"dead-letter redrive", "[ID...]", "Put given-up work back; all of it without an ID",
   "Examples:\n  samtale dead-letter redrive --company acme\n  samtale dead-letter redrive 17 18", {}, dead_letter_redrive},
  {"analyze", "[CONVERSATION]", "Analyse one conversation now, or history with --backfill",
   "CONVERSATION is its id (cnv_...) or the id its source knows it by. A back-fill first says what it would\n"
   "cost at the most and asks; then it runs on the server, behind everything else, whether this waits for\n"
   "it or not: Ctrl-C leaves it running (see samtale backfill). What was concluded before, by the same\n"
   "version of the analyzer from the same words, costs nothing.\n\n"
   "Examples:\n"
   "  samtale analyze order-4711 --company acme\n"
   "  samtale analyze cnv_4q7r --analyzer intent --analyzer quality\n"
   "  samtale analyze --backfill --estimate --company acme\n"
   "  samtale analyze --backfill --analyzer quality --from 2026-01-01 --yes --no-wait", kAnalyze, analyze},
  {"analyzer list", "", "List what a company's conversations are analysed for",
   "BY is what makes it on this server: lm (a language model), extractive or rules; - is nothing, for want\n"
   "of a language model.\n\n"
   "Examples:\n  samtale analyzer list --company acme", {}, analyzer_list},
  {"analyzer show", "NAME", "Print the definition of an analyzer",
   "As `samtale analyzer put` takes it; with --json also its version and earlier ones.\n\n"
   "Examples:\n  samtale analyzer show topics > topics.json", {}, analyzer_show},
  {"analyzer put", "FILE", "Make an analyzer, or a new version of one",
   "FILE is JSON, - is standard input; \"name\" says which. See docs/how-to/write-an-analyzer.md. Conversations\n"
   "that were analysed before stay as they are until `samtale analyze --backfill --analyzer NAME`.\n\n"
   "Examples:\n"
   "  samtale analyzer put topics.json --company acme\n"
   "  echo '{\"name\":\"intent\",\"taxonomy\":[\"cancel order\",\"complain\"]}' | samtale analyzer put -", {}, analyzer_put},
  {"analyzer delete", "NAME", "Delete an analyzer; a shipped one is then as shipped",
   "What it concluded stays.\n\n"
   "Examples:\n  samtale analyzer delete quality --company acme", {}, analyzer_delete},
  {"backfill list", "", "List the back-fills of analyses, newest first",
   "Examples:\n  samtale backfill list --company acme", {}, backfill_list},
  {"backfill show", "ID", "Tell how far a back-fill is", "Examples:\n  samtale backfill show bf_7k2m", {}, backfill_show},
  {"backfill pause", "ID", "Let a back-fill stand still",
   "What it asked for already is still done.\n\n"
   "Examples:\n  samtale backfill pause bf_7k2m", {}, backfill_pause},
  {"backfill resume", "ID", "Let a paused back-fill go on", "Examples:\n  samtale backfill resume bf_7k2m", {}, backfill_resume},
  {"backfill cancel", "ID", "End a back-fill for good", "Examples:\n  samtale backfill cancel bf_7k2m", {}, backfill_cancel},
  {"usage", "", "Tell what analyses cost, and what is left of the budgets",
   "Examples:\n"
   "  samtale usage --company acme\n"
   "  samtale usage --from 2026-10-01 --to 2026-10-31 --json", kUsage, show_usage},
  {"replay", "", "Take accepted events through the pipeline again",
   "Of all companies, from the raw events that are kept (accept.archive_bytes_max). Changes nothing that\n"
   "is right already. Needs a running server.\n\n"
   "Examples:\n  samtale replay --from 2026-11-01", kReplay, replay},
  {"eval", "FILE...", "Measure search against judged queries",
   "Each line: {\"query\",\"company_id\",\"relevant_ids\":[external ids],\"type\"}. Prints MRR@10 (the mean of 1/rank\n"
   "of the first right answer) and recall@10 (the share of the right answers that are among ten).\n\n"
   "Examples:\n  samtale eval queries.jsonl --modes keyword,hybrid", kEval, evaluate},

  {"reindex", "", "Have the index of a company made anew",
   "Of a company so large that it has one: the graph that finds the nearest of its vectors is made anew, at\n"
   "low priority, beside the one that is there, which answers until then. Nothing needs it as a rule: a graph grows\n"
   "with what is new and is made anew once much of it was removed. The vectors themselves stay what they are.\n\n"
   "Examples:\n  samtale reindex --company acme", {}, reindex},

  {"index verify", "", "Check the files of the index",
   "Reads all of them, or those of --company: headers, checksums and numbers. The exit status is 1 if any\n"
   "is damaged. That loses nothing: the server makes the file again from what it has stored. A server may\n"
   "run meanwhile.\n\n"
   "Examples:\n"
   "  samtale index verify\n"
   "  samtale index verify --company acme --data /var/lib/samtale", {}, index_verify},

  {"topology check", "", "Check the queues of the broker, and make those that are missing",
   "Jobs go through them with queue.kind = rabbitmq. The exit status is 1 if one is missing or another than\n"
   "is wanted (not durable, say); a server makes none, and takes its jobs from the store meanwhile. --fix\n"
   "makes what is missing, and anew what is another: messages in it go, which loses no job.\n\n"
   "Examples:\n"
   "  samtale topology check --config samtale.toml\n"
   "  samtale topology check --fix --config samtale.toml", kTopology, topology_check},

  {"config check", "", "Check the configuration and say every mistake", "Examples:\n  samtale config check --config samtale.toml", {}, config_check},
  {"config show", "", "Print every key, its value and where it is from", "Examples:\n  samtale config show --set http.port=9000", {}, config_show},
  {"config docs", "", "Print docs/configuration.md", "Examples:\n  samtale config docs > docs/configuration.md", {}, config_docs, true},
  {"version", "", "Print the version", "Examples:\n  samtale version", {}, version},
  {"completion", "SHELL", "Print a completion script for bash, zsh or fish",
   "Examples:\n"
   "  source <(samtale completion bash)\n"
   "  samtale completion zsh > ~/.zfunc/_samtale\n"
   "  samtale completion fish > ~/.config/fish/completions/samtale.fish", {}, completion, true},
};
// clang-format on

}  // namespace

std::span<const CommandInfo> all_commands() { return kCommands; }
std::span<const OptionInfo> common_options() { return kCommon; }

std::string Arguments::text(std::string_view option, std::string_view otherwise) const {
  const auto found = values_.find(option);
  return found == values_.end() ? std::string(otherwise) : found->second.back();
}

std::int64_t Arguments::number(std::string_view option, std::int64_t otherwise) const {
  const auto found = values_.find(option);
  if (found == values_.end()) return otherwise;
  const auto& text = found->second.back();
  std::int64_t value = otherwise;  // The parser has checked that it is a number.
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string> Arguments::all(std::string_view option) const {
  const auto found = values_.find(option);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace samtale::cli
