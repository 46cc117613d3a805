#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace samtale {
namespace {

using ::testing::HasSubstr;

std::string mistakes_of(std::string_view toml) {
  const auto loaded = parse_config(toml, "samtale.toml");
  return loaded ? "" : loaded.error().message;
}

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "samtale-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ConfigTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const auto path = (folder_ / name).string();
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(ConfigTest, later_layers_win_key_by_key_and_say_where_a_value_is_from) {
  ConfigSources sources;
  sources.file = write("a.toml",
                       "data_dir = '/tmp/one'\n[http]\nport = 1001\nio_threads = 2\n"
                       "handler_threads = 3\n");
  sources.environment = {{"SAMTALE_HTTP_PORT", "1002"}, {"SAMTALE_HTTP_IO_THREADS", "4"}};
  sources.overrides = {{"http.port", "1003", "--port"}};

  const auto loaded = load_config(sources);

  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.data_dir, "/tmp/one");
  EXPECT_EQ(loaded->config.http.port, 1003);
  EXPECT_EQ(loaded->config.http.io_threads, 4U);
  EXPECT_EQ(loaded->config.http.handler_threads, 3U);
  EXPECT_EQ(loaded->origins.at("http.port"), "--port");
  EXPECT_EQ(loaded->origins.at("http.io_threads"), "SAMTALE_HTTP_IO_THREADS");
  EXPECT_EQ(loaded->origins.at("http.handler_threads"), sources.file + ":5");
  EXPECT_FALSE(loaded->origins.contains("log.level"));
}

TEST_F(ConfigTest, tells_every_mistake_at_once) {
  ConfigSources sources;
  sources.file = write("a.toml", "[http]\nprot = 1\nio_threads = 'two'\n[sarch]\nx = 1\ny = 2\n");
  sources.environment = {{"SAMTALE_HTTP_PROT", "1"}, {"SAMTALE_LOG_LEVEL", "loud"}};
  sources.overrides = {{"http.port", "70000"}};

  const auto loaded = load_config(sources);

  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            sources.file + ":2: http.prot: unknown key; did you mean http.port?\n" + sources.file +
                ":3: http.io_threads: must be a whole number; got \"two\"\n" + sources.file +
                ":4: sarch: unknown section; did you mean search?\n"
                "SAMTALE_HTTP_PROT: no key has this variable; did you mean SAMTALE_HTTP_PORT?\n"
                "SAMTALE_LOG_LEVEL: log.level: must be debug or info or warn or error; got "
                "\"loud\"\n"
                "--set: http.port: must be 0 to 65535; got 70000");
}

TEST_F(ConfigTest, refuses_a_secret_that_others_may_read) {
  ConfigSources sources;
  const auto open_key = write("open.key", "s3cret", 0640);
  sources.overrides = {{"embed.api_key_file", open_key}};

  const auto loaded = load_config(sources);

  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "--set: embed.api_key_file: " + open_key +
                                        " is open to other users; run: chmod 600 " + open_key);
}

TEST_F(ConfigTest, takes_a_secret_that_only_its_owner_may_read) {
  ConfigSources sources;
  sources.overrides = {{"embed.api_key_file", write("closed.key", "s3cret", 0400)}};

  const auto loaded = load_config(sources);

  EXPECT_TRUE(loaded) << loaded.error().message;
}

TEST_F(ConfigTest, refuses_a_file_that_is_missing_or_far_too_long) {
  ConfigSources missing;
  missing.file = (folder_ / "none.toml").string();
  ConfigSources endless;
  endless.file = write("long.toml", std::string((1U << 20U) + 1, '#'));

  const auto first = load_config(missing);
  const auto second = load_config(endless);

  ASSERT_FALSE(first);
  EXPECT_THAT(first.error().message, HasSubstr("No such file"));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("longer than 1 MiB"));
}

TEST_F(ConfigTest, refuses_a_key_file_that_is_missing_and_names_the_line) {
  ConfigSources sources;
  sources.file = write("a.toml", "[embed]\n\napi_key_file = '/does/not/exist'\n");

  const auto loaded = load_config(sources);

  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message,
              HasSubstr(sources.file + ":3: embed.api_key_file: /does/not/exist: No such file"));
}

TEST(ParseConfigTest, the_defaults_are_without_mistakes) {
  EXPECT_EQ(mistakes_of(""), "");
  EXPECT_EQ(parse_config("", "x")->config.http.port, 8080);
}

TEST(ParseConfigTest, names_the_line_of_a_broken_text) {
  EXPECT_THAT(mistakes_of("[http]\nport == 3\n"), HasSubstr("samtale.toml:2: "));
}

TEST(ParseConfigTest, a_header_that_breaks_the_parser_is_a_mistake) {
  EXPECT_THAT(mistakes_of("[=]\nport = 2\n"), HasSubstr("this is no TOML"));
}

TEST(ParseConfigTest, finds_a_pasted_space_and_curly_quotes) {
  EXPECT_THAT(mistakes_of("[http]\nport =\u00A01\n"),
              HasSubstr("samtale.toml:2: a control character, or"));
  EXPECT_THAT(mistakes_of("[log]\nlevel = \u201Cinfo\u201D\n"), HasSubstr("samtale.toml:2: "));
  EXPECT_EQ(mistakes_of("# \u201C\n[embed]\nquery_prefix = \"\u201C\" # '\u00A0\n"), "");
}

TEST(ParseConfigTest, a_key_twice_is_a_mistake) {
  EXPECT_THAT(mistakes_of("[http]\nport = 1\nport = 2\n"), HasSubstr("samtale.toml:3: "));
}

TEST(ParseConfigTest, sends_a_secret_in_the_text_to_a_file) {
  EXPECT_EQ(mistakes_of("[embed]\napi_key = 'sk-1'\n"),
            "samtale.toml:2: embed.api_key: unknown key; secrets are only read from files: set "
            "embed.api_key_file to the path of one");
}

TEST(ParseConfigTest, knows_a_key_that_stands_in_the_wrong_section) {
  EXPECT_THAT(mistakes_of("port = 3\n"), HasSubstr("did you mean http.port?"));
}

TEST(ParseConfigTest, reads_sizes_with_and_without_a_unit) {
  const auto plain = parse_config("[http]\nbody_bytes_max = 2_097_152\n", "x");
  const auto unit = parse_config("[http]\nbody_bytes_max = '2 MiB'\n", "x");

  EXPECT_EQ(plain->config.http.body_bytes_max, 2U << 20U);
  EXPECT_EQ(unit->config.http.body_bytes_max, 2U << 20U);
  EXPECT_THAT(mistakes_of("[http]\nbody_bytes_max = '2 MB'\n"), HasSubstr("must be bytes"));
  EXPECT_THAT(mistakes_of("[http]\nbody_bytes_max = -1\n"), HasSubstr("1 KiB to 1 GiB; got -1"));
}

TEST(ParseConfigTest, a_whole_number_has_no_fraction_and_no_infinity) {
  EXPECT_THAT(mistakes_of("[http]\nport = 1.5\n"), HasSubstr("whole number; got 1.5"));
  EXPECT_THAT(mistakes_of("[search]\nhybrid_weight = nan\n"), HasSubstr("a number; got nan"));
  EXPECT_THAT(mistakes_of("[search]\nhybrid_weight = inf\n"), HasSubstr("a number; got inf"));
}

TEST(ParseConfigTest, an_embedder_elsewhere_needs_model_dimension_and_place) {
  const auto openai = mistakes_of("[embed]\nkind = 'openai'\n");
  const auto managed =
      mistakes_of("[embed]\nkind = 'managed'\nmodel='m'\ndimension=384\ncommand = ['serve']\n");

  EXPECT_THAT(openai, HasSubstr("embed.model: must name the model"));
  EXPECT_THAT(openai, HasSubstr("embed.dimension: must be the length"));
  EXPECT_THAT(openai, HasSubstr("embed.url: must be set"));
  EXPECT_EQ(managed,
            "samtale.toml:5: embed.command: must name a program and hold {port} for embed.kind = "
            "\"managed\"");
}

TEST(ParseConfigTest, a_database_needs_a_url_and_keeps_its_password_in_a_file) {
  EXPECT_THAT(mistakes_of("[store]\nkind = 'postgres'\n"), HasSubstr("store.url: must be set"));
  EXPECT_THAT(mistakes_of("[store]\nurl = 'postgresql://db.test/x'\n"),
              HasSubstr("store.url: is used by store.kind = \"postgres\" only"));
  EXPECT_THAT(mistakes_of("[store]\nkind = 'postgres'\nurl = 'postgresql://me:word@db.test/x'\n"),
              HasSubstr("store.url: must not hold a password"));
  EXPECT_EQ(mistakes_of("[store]\nkind = 'postgres'\nurl = 'postgresql://me@db.test:5432/x'\n"),
            "");
}

TEST(ParseConfigTest, pgvector_needs_a_store_in_postgresql) {
  const std::string pgvector = "[search]\nbackend = 'pgvector'\n";
  EXPECT_THAT(mistakes_of(pgvector), HasSubstr("search.backend: pgvector is an extension of"));
  EXPECT_EQ(mistakes_of(pgvector + "[store]\nkind = 'postgres'\nurl = 'postgresql://db.test/x'\n"),
            "");
}

TEST(ParseConfigTest, a_broker_needs_a_store_that_servers_share) {
  EXPECT_THAT(mistakes_of("[queue]\nkind = 'rabbitmq'\nurl = 'amqp://broker.test'\n"),
              HasSubstr("queue.kind: rabbitmq is for servers that share a store"));
  const std::string shared = "[store]\nkind = 'postgres'\nurl = 'postgresql://db.test/x'\n";
  EXPECT_THAT(mistakes_of(shared + "[queue]\nkind = 'rabbitmq'\n"),
              HasSubstr("queue.url: must be set"));
  EXPECT_THAT(mistakes_of("[queue]\nurl = 'amqp://broker.test'\n"),
              HasSubstr("queue.url: is used by queue.kind = \"rabbitmq\" only"));
  EXPECT_EQ(mistakes_of(shared + "[queue]\nkind = 'rabbitmq'\nurl = 'amqp://broker.test'\n"), "");
}

TEST(ParseConfigTest, events_are_replicated_by_way_of_a_broker) {
  EXPECT_THAT(mistakes_of("[accept]\nack = 'replicated'\n"),
              HasSubstr("accept.ack: replicated needs a broker"));
  EXPECT_EQ(mistakes_of("[accept]\nack = 'replicated'\n"
                        "[store]\nkind = 'postgres'\nurl = 'postgresql://db.test/x'\n"
                        "[queue]\nkind = 'rabbitmq'\nurl = 'amqp://broker.test'\n"),
            "");
}

TEST(ParseConfigTest, tls_needs_both_files) {
  EXPECT_EQ(mistakes_of("[http]\ntls_key = '/k'\n"),
            "samtale.toml:2: http.tls_key: is set without http.tls_certificate; set both, or "
            "neither");
}

TEST(ParseConfigTest, a_message_never_carries_control_characters) {
  const auto text = mistakes_of("\"\\u001b[2Jx\" = 1\n[log]\nlevel = \"\\u0007\"\n");

  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
}

TEST(ParseConfigTest, lists_come_from_toml_and_from_words) {
  const auto file = parse_config("[embed]\ncommand = ['serve', '--port', '{port}']\n", "x");
  ConfigSources sources;
  sources.environment = {{"SAMTALE_EMBED_COMMAND", "serve --port  {port}"}};
  const auto variable = load_config(sources);

  const std::vector<std::string> expected = {"serve", "--port", "{port}"};
  EXPECT_EQ(file->config.embed.command, expected);
  EXPECT_EQ(variable->config.embed.command, expected);
  EXPECT_EQ(config_value(file->config, "embed.command"), R"(["serve", "--port", "{port}"])");
}

TEST(ParseConfigTest, lists_of_ports_networks_and_pauses_hold_nothing_else) {
  EXPECT_EQ(mistakes_of("[notify]\nports = ['8443']\nallow_private = ['10.0.0.0/8', 'fd00::1']\n"
                        "retry_schedule = ['250ms', '720h']\n"),
            "");
  for (const auto* bad :
       {"ports = ['0']", "ports = ['65536']", "ports = ['https']",
        "allow_private = ['10.0.0.0/33']", "allow_private = ['localhost']",
        "allow_private = ['10.0.0.0/']", "retry_schedule = ['5']", "retry_schedule = ['5 s']",
        "retry_schedule = ['-5s']", "retry_schedule = ['721h']", "retry_schedule = ['ms']"}) {
    EXPECT_THAT(mistakes_of(std::string("[notify]\n") + bad), HasSubstr("must hold")) << bad;
  }
}

TEST(ConfigKeysTest, every_default_can_be_read_back) {
  for (const auto& key : config_keys()) {
    const auto dot = key.name.find('.');
    const auto toml = dot == std::string::npos
                          ? key.name + " = " + key.default_value + "\n"
                          : "[" + key.name.substr(0, dot) + "]\n" + key.name.substr(dot + 1) +
                                " = " + key.default_value + "\n";

    const auto loaded = parse_config(toml, "x");

    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(config_value(loaded->config, key.name), key.default_value) << key.name;
  }
}

TEST(ConfigKeysTest, every_key_has_its_own_place_and_help) {
  std::map<std::string, std::string> seen;
  for (const auto& key : config_keys()) {
    EXPECT_FALSE(key.help.empty()) << key.name;
    EXPECT_TRUE(key.help.ends_with('.')) << key.name;
    EXPECT_TRUE(seen.emplace(key.environment, key.name).second) << key.environment;
  }
}

TEST(ConfigKeysTest, the_documentation_in_the_repository_is_the_one_the_table_makes) {
  std::ifstream file(SAMTALE_DOCS "/configuration.md");
  std::stringstream text;
  text << file.rdbuf();

  EXPECT_EQ(text.str(), config_documentation())
      << "run: samtale config docs > docs/configuration.md";
}

}  // namespace
}  // namespace samtale
