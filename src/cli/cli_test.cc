// Goal: what a person types gives the requests the API expects, and what the server says reaches
// the screen readable and harmless. Method: run() with a fake server that records and answers.
#include "cli/cli.h"

#include <cstdlib>

#include "cli/commands.h"
#include "cli/eval.h"
#include "cli/export.h"
#include "cli/testing/cli_test.h"

namespace samtale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(CliTest, search_sends_words_options_and_filters_as_the_api_wants_them) {
  say(200, R"({"hits":[],"mode":"keyword","model":"m","exact":true,"took_ms":1})");

  const int status =
      run_words({"search", "late", "parcel", "--company", "acme", "--mode", "keyword", "--limit",
                 "3", "--language", "da", "--language", "en", "--metadata", "plan=pro",
                 "--metadata", "csat=4", "--min-sequence", "abc"});

  EXPECT_EQ(status, 0) << err_.str();
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_EQ(requests_[0].method, "POST");
  EXPECT_EQ(requests_[0].path, "/v1/search");
  EXPECT_EQ(header(requests_[0], "x-samtale-company"), "acme");
  EXPECT_EQ(requests_[0].body,
            R"({"query":"late parcel","mode":"keyword","limit":3,"chunks":1,"min_sequence":"abc",)"
            R"("filters":{"language":{"in":["da","en"]},"metadata":{"plan":"pro","csat":4}}})");
  EXPECT_TRUE(needed_server_);
}

TEST_F(CliTest, a_result_shows_hits_and_turns_and_nothing_that_drives_a_terminal) {
  say(200,
      R"({"hits":[{"id":"cnv_1","external_id":"order\u001b[2J-1","channel":"chat","turn_count":4,
      "score":0.5,"chunks":[{"first_turn":0,"last_turn":2,"snippet":[{"text":"My \u202e\u0007"},
      {"text":"parcel","hit":true},{"text":"\nis late"}]}]}],
      "mode":"hybrid","model":"m","exact":true,"took_ms":1.25})");

  const int status = run_words({"search", "parcel", "--company", "acme"});

  EXPECT_EQ(status, 0);
  EXPECT_EQ(out_.str(),
            "1 conversation in 1.2 ms  (hybrid, m, exact)\n\n"
            "1. order?[2J-1  chat  4 turns  score 0.500\n"
            "   turns 0-2: My ??*parcel* is late\n");
}

TEST_F(CliTest, colours_are_for_terminals) {
  say(200, R"({"hits":[{"id":"cnv_1","chunks":[{"snippet":[{"text":"parcel","hit":true}]}]}]})");
  hooks_.out_is_terminal = true;
  ::unsetenv("NO_COLOR");

  (void)run_words({"search", "parcel", "--company", "acme"});
  const auto coloured = out_.str();
  out_.str("");
  ::setenv("NO_COLOR", "1", 1);
  (void)run_words({"search", "parcel", "--company", "acme"});
  ::unsetenv("NO_COLOR");

  EXPECT_THAT(coloured, HasSubstr("\033[1;33mparcel\033[0m"));
  EXPECT_THAT(out_.str(), HasSubstr("*parcel*"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\033")));
}

TEST_F(CliTest, the_only_company_needs_no_name) {
  const int status = run_words({"key", "list"});

  EXPECT_EQ(status, 0) << err_.str();
  ASSERT_EQ(requests_.size(), 2U);
  EXPECT_EQ(requests_[0].path, "/v1/companies");
  EXPECT_EQ(header(requests_[1], "x-samtale-company"), "acme");
}

TEST_F(CliTest, of_several_companies_one_must_be_named) {
  say(200, R"({"companies":[{"name":"acme"},{"name":"zeta"}]})");

  const int status = run_words({"key", "list"});

  EXPECT_EQ(status, 2);
  EXPECT_EQ(err_.str(), "samtale: --company is missing; there are 2: acme, zeta\n");
}

TEST_F(CliTest, says_in_one_line_what_the_server_refused) {
  say(422,
      R"({"code":"invalid_argument","message":"/name: must be\u001b[1m short; got 80","request_id":"r"})");

  const int status = run_words({"company", "create", "x"});

  EXPECT_EQ(status, 1);
  EXPECT_EQ(err_.str(), "samtale: /name: must be?[1m short; got 80\n");
}

TEST_F(CliTest, ids_from_users_cannot_leave_their_place_in_the_path) {
  (void)run_words({"key", "revoke", "../companies?x=1", "--company", "acme"});

  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_EQ(requests_[0].target, "/v1/keys/..%2Fcompanies%3Fx%3D1");
}

TEST_F(CliTest, show_finds_a_conversation_by_the_id_of_its_source) {
  answer_ = [](const http::Request& request) {
    http::Response response;
    response.body = request.path == "/v1/conversations"
                        ? R"({"conversations":[{"id":"cnv_7"}]})"
                        : R"({"id":"cnv_7","turns":[{"speaker":"agent","text":"Hi\nthere"}]})";
    return response;
  };

  const int status = run_words({"show", "order 1", "--company", "acme"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_EQ(requests_[0].target, "/v1/conversations?external_id=order%201&limit=2");
  EXPECT_EQ(requests_[1].target, "/v1/conversations/cnv_7");
  EXPECT_THAT(out_.str(), HasSubstr("0  agent: Hi\nthere\n"));
}

TEST_F(CliTest, delete_without_a_terminal_wants_to_be_told_yes) {
  const int asked = run_words({"delete", "cnv_1", "--company", "acme"});
  const auto requests = requests_.size();
  const int told = run_words({"delete", "cnv_1", "--yes", "--company", "acme"});

  EXPECT_EQ(asked, 2);
  EXPECT_EQ(requests, 0U);
  EXPECT_EQ(told, 0);
  EXPECT_EQ(requests_.back().method, "DELETE");
}

TEST_F(CliTest, index_verify_says_of_each_file_whose_it_is_and_what_is_wrong) {
  hooks_.check_index = [](const Config&) -> Result<std::vector<IndexFile>> {
    return std::vector<IndexFile>{
        {.name = "1.seg", .company = 1, .model = "m", .vectors = 50, .bytes = 900, .problem = ""},
        {.name = "9.seg", .company = 9, .model = "", .problem = "has damaged neighbours"}};
  };
  say(200, R"({"companies":[{"name":"acme","number":1}]})");

  const int all = run_words({"index", "verify"});
  const auto text = out_.str();
  out_.str("");
  const int acme = run_words({"index", "verify", "--company", "acme", "--json"});

  EXPECT_EQ(all, 1);
  EXPECT_EQ(text,
            "COMPANY  MODEL  VECTORS  BYTES  STATE                   FILE\n"
            "acme     m      50       900    ok                      1.seg\n"
            "#9       -      0        0      has damaged neighbours  9.seg\n");
  EXPECT_FALSE(needed_server_);
  EXPECT_EQ(acme, 0);
  EXPECT_THAT(out_.str(), HasSubstr(R"("ok": true)"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("9.seg")));
  EXPECT_EQ(run_words({"index", "verify", "--company", "zeta"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("there is no company zeta"));
}

TEST_F(CliTest, index_verify_needs_no_store_to_say_what_is_damaged) {
  hooks_.check_index = [](const Config&) -> Result<std::vector<IndexFile>> {
    return std::vector<IndexFile>{{.name = "1.seg", .company = 1, .model = "m", .problem = "bad"}};
  };
  say(500, R"({"code":"corrupt","message":"control.db is damaged"})");

  EXPECT_EQ(run_words({"index", "verify"}), 1);

  EXPECT_THAT(out_.str(), HasSubstr("#1       m      0        0      bad    1.seg\n"));
  EXPECT_EQ(err_.str(), "companies are shown by their numbers: control.db is damaged\n");
}

TEST_F(CliTest, migrate_tells_how_far_it_is_and_which_version_there_was) {
  std::string granted;
  hooks_.migrate = [&](const Config& config, const StoreGrants& grants,
                       const auto& tell) -> Result<StoreVersions> {
    EXPECT_EQ(config.store.schema, "other");
    granted = grants.server + " " + grants.token;
    tell("migration 3 of 4");
    return StoreVersions{.before = 2, .after = 4};
  };

  const int status = run_words({"migrate", "--grant-to", "serving", "--token-role", "authenticated",
                                "--set", "store.schema=other"});

  EXPECT_EQ(status, 0);
  EXPECT_EQ(granted, "serving authenticated");
  EXPECT_EQ(err_.str(), "migration 3 of 4\n");
  EXPECT_EQ(out_.str(), "schema other had version 2 and has version 4\n");
}

TEST_F(CliTest, migrate_prints_the_sql_alone_so_that_it_can_be_a_file) {
  hooks_.migration_sql = [](const Config&, std::size_t from, const StoreGrants& grants) {
    return Result<std::string>("-- from " + std::to_string(from) + " for " + grants.server + "\n");
  };

  const int status = run_words({"migrate", "--sql", "--from", "2", "--grant-to", "serving"});

  EXPECT_EQ(status, 0);
  EXPECT_EQ(out_.str(), "-- from 2 for serving\n");
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(run_words({"migrate", "--from", "2"}), 2) << "the database knows";
}

TEST_F(CliTest, partition_says_for_how_long_each_table_was_closed) {
  hooks_.move_company = [](const Config&, const std::string& company, bool to_its_own,
                           const auto& tell) -> Result<std::vector<MovedTable>> {
    tell(company + (to_its_own ? " goes" : " comes back"));
    if (!to_its_own) return std::vector<MovedTable>();
    return std::vector{MovedTable{.name = "chunks",
                                  .rows = 7,
                                  .copying = std::chrono::milliseconds(1500),
                                  .exchange = std::chrono::microseconds(24'400)}};
  };

  EXPECT_EQ(run_words({"partition", "promote", "acme"}), 0);
  EXPECT_EQ(run_words({"partition", "demote", "acme"}), 0);

  EXPECT_EQ(err_.str(), "acme goes\nacme comes back\n");
  EXPECT_EQ(out_.str(),
            "TABLE   ROWS  COPYING S  EXCHANGE MS\n"
            "chunks  7     1.5        24.4\n"
            "nothing to do\n");
}

TEST_F(CliTest, reindex_says_whether_there_is_a_graph_to_make_anew) {
  for (const bool renews : {true, false}) {
    answer_ = [&](const http::Request&) {
      http::Response response;
      response.body = renews ? R"({"reindexing":true})" : R"({"reindexing":false})";
      return response;
    };

    EXPECT_EQ(run_words({"reindex", "--company", "acme"}), 0) << err_.str();

    EXPECT_EQ(requests_.back().path, "/v1/reindex");
    EXPECT_THAT(out_.str(), HasSubstr(renews ? "the graph of acme is made anew"
                                             : "acme has no graph: every vector is compared"));
  }
}

TEST_F(CliTest, company_split_says_how_one_sees_that_all_have_it) {
  say(200, R"({"name":"acme","split":true,"layout":3})");
  EXPECT_EQ(run_words({"company", "split", "acme"}), 0);
  say(200, R"({"name":"acme","split":false,"layout":4})");
  EXPECT_EQ(run_words({"company", "join", "acme"}), 0);

  EXPECT_EQ(out_.str(),
            "acme is split where LAYOUT is 3; see: samtale cluster status\n"
            "acme is whole where LAYOUT is 4; see: samtale cluster status\n");
}

TEST_F(CliTest, cluster_status_says_who_has_what_how_far_behind_they_are_and_what_they_do) {
  say(200, R"({"layout":0,"split_companies":[],"nodes":[
    {"node":"a","url":"http://a","roles":"searcher","leads":true,"partitions":[0,2],
     "slices":["0/0","2/0"],"layout":0,"lag":17,"requests_per_second":250},
    {"node":"b","url":"http://b","roles":"-","leads":false,"partitions":[],
     "slices":[],"layout":0,"lag":0,"requests_per_second":0}]})");

  EXPECT_EQ(run_words({"cluster", "status"}), 0);

  EXPECT_EQ(out_.str(),
            "NODE  URL       ROLES     LEADS  PARTITIONS  SLICES   LAYOUT  LAG  REQUESTS/S\n"
            "a     http://a  searcher  true   0,2         0/0,2/0  0       17   250\n"
            "b     http://b  -         false  -           -        0       0    0\n");
}

TEST_F(CliTest, topology_check_says_what_is_missing_and_makes_it_when_asked) {
  bool fixes = false;
  hooks_.check_topology = [&](const Config&, bool fix) -> Result<std::vector<BrokerQueue>> {
    fixes = fix;
    return std::vector<BrokerQueue>{
        {.name = "samtale.dead", .messages = 3, .problem = ""},
        {.name = "samtale.embed.bulk", .problem = "is not there", .is_fixed = fix}};
  };

  const int looked = run_words({"topology", "check"});
  const auto text = out_.str();
  out_.str("");
  EXPECT_FALSE(fixes);
  const int fixed = run_words({"topology", "check", "--fix"});

  EXPECT_EQ(looked, 1);
  EXPECT_EQ(text,
            "QUEUE               MESSAGES  STATE\n"
            "samtale.dead        3         ok\n"
            "samtale.embed.bulk  0         is not there\n");
  EXPECT_TRUE(fixes);
  EXPECT_EQ(fixed, 0);
  EXPECT_THAT(out_.str(), HasSubstr("samtale.embed.bulk  0         made\n"));
}

TEST_F(CliTest, a_saved_key_is_closed_to_others_and_not_on_the_screen) {
  say(200, R"({"id":"k1","key":"smt_k1_secret"})");
  const auto path = (folder_ / "new.key").string();

  const int status = run_words({"key", "create", "--company", "acme", "--save", path});

  struct stat file {};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  EXPECT_THAT(out_.str() + err_.str(), Not(HasSubstr("secret")));
}

TEST_F(CliTest, a_remote_server_needs_a_key_that_is_closed_to_others) {
  const auto path = write("open.key", "smt_x");
  ::chmod(path.c_str(), 0644);

  const int without = run_words({"status", "--url", "http://127.0.0.1:1"});
  const int open = run_words({"status", "--url", "http://127.0.0.1:1", "--key-file", path});

  EXPECT_EQ(without, 2);
  EXPECT_EQ(open, 1);
  EXPECT_THAT(err_.str(), HasSubstr("is open to other users; run: chmod 600"));
  EXPECT_THAT(requests_, IsEmpty());
}

TEST_F(CliTest, what_was_not_understood_says_where_to_look) {
  EXPECT_EQ(run_words({"serch", "x"}), 2);
  EXPECT_EQ(run_words({"search", "x", "--limit", "1000"}), 2);
  EXPECT_EQ(run_words({"search", "x", "--limit", "ten"}), 2);
  EXPECT_EQ(run_words({"search", "x", "--mode", "magic"}), 2);
  EXPECT_EQ(run_words({"search"}), 2);
  EXPECT_EQ(run_words({}), 2);

  EXPECT_THAT(err_.str(), HasSubstr("see samtale search --help"));
  EXPECT_THAT(requests_, IsEmpty());
}

TEST_F(CliTest, a_configuration_with_mistakes_is_told_whole) {
  const int status = run_words({"config", "check", "--set", "http.prot=1", "--set", "log.level=x"});

  EXPECT_EQ(status, 2);
  EXPECT_THAT(err_.str(), HasSubstr("--set: http.prot: unknown key; did you mean http.port?\n"));
  EXPECT_THAT(err_.str(), HasSubstr("--set: log.level: must be"));
}

TEST_F(CliTest, serve_gets_the_flags_over_the_configuration) {
  Config got;
  ServeOptions options;
  hooks_.serve = [&](const Config& config, const ServeOptions& given) {
    got = config;
    options = given;
    return 7;
  };

  const int status = run_words({"serve", "--data", "/tmp/d", "--port", "0", "--ready-file", "r",
                                "--set", "http.io_threads=2"});

  EXPECT_EQ(status, 7);
  EXPECT_EQ(got.data_dir, "/tmp/d");
  EXPECT_EQ(got.http.port, 0);
  EXPECT_EQ(got.http.io_threads, 2U);
  EXPECT_EQ(options.ready_file, "r");
}

TEST_F(CliTest, config_show_tells_where_a_value_is_from) {
  const int status = run_words({"config", "show", "--set", "http.port=9000", "--json"});

  EXPECT_EQ(status, 0);
  const auto shown = json::parse(out_.str());
  ASSERT_TRUE(shown);
  EXPECT_THAT(json::dump(*shown),
              HasSubstr(R"({"key":"http.port","value":"9000","from":"--set"})"));
}

TEST_F(CliTest, export_goes_through_every_page_and_escapes_formulas) {
  answer_ = [](const http::Request& request) {
    http::Response response;
    response.body =
        request.target.find("cursor=") == std::string::npos
            ? R"J({"conversations":[{"id":"cnv_1","title":"=HYPERLINK(\"x\")"}],"next_cursor":"c 2"})J"
            : R"({"conversations":[{"id":"cnv_2","title":"a,b","turn_count":3}]})";
    return response;
  };

  const int status = run_words({"export", "--format", "csv", "--company", "acme"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_THAT(requests_[1].target, HasSubstr("cursor=c%202"));
  EXPECT_THAT(out_.str(), StartsWith("id,external_id,source,"));
  EXPECT_THAT(out_.str(), HasSubstr("cnv_1,,,,,\"'=HYPERLINK(\"\"x\"\")\",,,,,,\r\n"));
  EXPECT_THAT(out_.str(), HasSubstr("cnv_2,,,,,\"a,b\",,,3,,,\r\n"));
}

TEST_F(CliTest, subscription_create_prints_the_secret_and_asks_for_what_was_typed) {
  say(201, R"({"id":"sub_1","secret":"whsec_x"})");

  const int status = run_words({"subscription", "create", "https://example.com/hook", "--event",
                                "analysis.completed", "--company", "acme"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_EQ(requests_.back().path, "/v1/subscriptions");
  EXPECT_EQ(requests_.back().body,
            R"({"url":"https://example.com/hook","events":["analysis.completed"]})");
  EXPECT_EQ(out_.str(), "id      sub_1\nsecret  whsec_x\n");
}

TEST_F(CliTest, subscription_list_shows_what_is_wrong_where_something_is) {
  say(200, R"({"subscriptions":[{"id":"sub_1","url":"https://a.example/","events":[],
      "state":"paused","why":"nothing\u001b[2J but failures","created_at":"2026-01-01"}]})");

  EXPECT_EQ(run_words({"subscription", "list", "--company", "acme"}), 0);

  EXPECT_THAT(out_.str(), HasSubstr("paused"));
  EXPECT_THAT(out_.str(), HasSubstr("nothing?[2J but failures"));
}

TEST_F(CliTest, subscription_test_ends_as_the_delivery_did) {
  say(200, R"({"delivered":true,"status":204,"took_ms":3.5})");
  EXPECT_EQ(run_words({"subscription", "test", "sub_1", "--company", "acme"}), 0);
  EXPECT_EQ(requests_.back().path, "/v1/subscriptions/sub_1/test");

  say(200, R"({"delivered":false,"status":500,"took_ms":3.5,"cause":"answered 500"})");
  EXPECT_EQ(run_words({"subscription", "test", "sub_1", "--company", "acme"}), 1);

  EXPECT_EQ(out_.str(), "delivered: answered 204\nnot delivered: answered 500\n");
}

TEST_F(CliTest, subscriptions_are_rotated_resumed_and_revoked_by_their_id) {
  say(200, R"({"id":"sub_1","secret":"whsec_y"})");

  EXPECT_EQ(run_words({"subscription", "rotate", "sub_1", "--keep-old", "60", "--company", "acme"}),
            0);
  EXPECT_EQ(requests_.back().path, "/v1/subscriptions/sub_1/rotate");
  EXPECT_EQ(requests_.back().body, R"({"keep_old_s":60})");
  EXPECT_EQ(run_words({"subscription", "resume", "sub_1", "--company", "acme"}), 0);
  EXPECT_EQ(requests_.back().path, "/v1/subscriptions/sub_1/resume");
  EXPECT_EQ(run_words({"subscription", "revoke", "sub_1", "--company", "acme"}), 0);
  EXPECT_EQ(requests_.back().method, "DELETE");
}

TEST_F(CliTest, eval_asks_each_query_as_its_company_and_prints_the_means) {
  answer_ = [](const http::Request& request) {
    http::Response response;
    response.body =
        header(request, "x-samtale-company") == "acme"
            ? R"({"answers":[{"body":{"hits":[{"external_id":"b"},{"external_id":"a"}]}},
                                         {"body":{"code":"unavailable","message":"away"}}]})"
            : R"({"answers":[{"body":{"hits":[{"external_id":"z"}]}}]})";
    return response;
  };
  const auto path =
      write("q.jsonl", R"({"query":"one","company_id":"acme","relevant_ids":["a"],"type":"t"})"
                       "\n"
                       R"({"query":"none","company_id":"acme","relevant_ids":["a"]})"
                       "\n"
                       R"({"query":"two","company_id":"zeta","relevant_ids":["z","y"]})"
                       "\n");

  const int status = run_words({"eval", path, "--modes", "keyword", "--json"});

  EXPECT_NE(status, 0);
  EXPECT_THAT(err_.str(), HasSubstr("the first that was not: away"));
  EXPECT_EQ(requests_.size(), 2U) << "one for each company";
  const auto shown = json::parse(out_.str());
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->at_pointer("/modes/keyword/all/mrr_at_10")->as_number(), 0.5);
  EXPECT_EQ(shown->at_pointer("/modes/keyword/all/recall_at_10")->as_number(), 0.5);
  EXPECT_EQ(shown->at_pointer("/modes/keyword/all/failed")->as_number(), 1);
  EXPECT_EQ(shown->at_pointer("/modes/keyword/t/mrr_at_10")->as_number(), 0.5);
}

TEST(ScoreQueryTest, looks_at_ten_answers_and_counts_each_once) {
  const std::vector<std::string> ranked = {"x", "a", "a", "y", "b", "1", "2", "3", "4", "5", "c"};

  const auto score = cli::score_query(ranked, {"a", "b", "c", "d"});

  EXPECT_DOUBLE_EQ(score.reciprocal_rank, 0.5);
  EXPECT_DOUBLE_EQ(score.recall, 0.5);  // c is the eleventh, d is not there.
  EXPECT_DOUBLE_EQ(cli::score_query({}, {"a"}).recall, 0);
}

TEST(CsvTest, what_a_spreadsheet_would_run_gets_a_quote_in_front) {
  for (const std::string text : {"=1+1", "+1", "-1", "@SUM(A1)", "\tx"}) {
    EXPECT_EQ(cli::csv_cell(text), "'" + text);
  }
  EXPECT_EQ(cli::csv_cell("\r=1"), "\"'\r=1\"");
  EXPECT_EQ(cli::csv_cell("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(cli::csv_cell("a-b"), "a-b");
}

// The help is part of the product: a change of it is looked at. To accept one, write the text that
// the test prints into golden/help.txt.
TEST(HelpTest, is_the_golden_text) {
  std::ifstream file(SAMTALE_CLI_GOLDEN "/help.txt");
  std::stringstream golden;
  golden << file.rdbuf();
  auto text = cli::help_text("") + "\n----\n" + cli::help_text("company");
  for (const auto& command : cli::all_commands()) {
    text += "\n----\n" + cli::help_text(command.name);
  }

  EXPECT_EQ(text, golden.str());
}

TEST(HelpTest, every_command_teaches_with_an_example_of_itself) {
  for (const auto& command : cli::all_commands()) {
    const auto help = cli::help_text(command.name);
    EXPECT_THAT(help, HasSubstr("Examples:\n")) << command.name;
    EXPECT_THAT(help.substr(help.find("Examples:")), HasSubstr(command.name)) << command.name;
  }
}

TEST(CompletionTest, bash_completes_commands_options_and_values) {
  std::string pattern = (std::filesystem::temp_directory_path() / "samtale-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(pattern.data());
  std::ofstream(folder / "script") << cli::completion_script("bash") << R"(
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _samtale; echo "${COMPREPLY[*]}"; }
try samtale comp
try samtale company ""
try samtale key create --sc
try samtale search --company acme word --mode k
try samtale --data /tmp key re
)";

  const auto command = "bash --norc " + (folder / "script").string() + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string printed(4096, '\0');
  printed.resize(std::fread(printed.data(), 1, printed.size(), pipe));
  ::pclose(pipe);
  std::filesystem::remove_all(folder);

  EXPECT_EQ(printed,
            "company completion\n"
            "create join list split --help\n"
            "--scope\n"
            "keyword\n"
            "revoke\n");
}

}  // namespace
}  // namespace samtale
