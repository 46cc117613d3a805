// Goal: every record of a file is sent once, in bounded requests, and each refusal names its line.
#include "cli/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>
#include <sstream>

namespace samtale::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HandClock final : public Clock {
 public:
  WallTime wall_now() const override { return {}; }
  Instant now() const override { return now_; }
  void sleep_for(Duration length, std::stop_token) override {
    now_ += length;
    slept.push_back(length);
  }
  std::vector<Duration> slept;

 private:
  Instant now_{};
};

Result<std::vector<Record>> read_all(const std::string& bytes,
                                     std::size_t record_bytes_max = 1000) {
  std::istringstream stream(bytes);
  const auto source = decompressed(stream);
  RecordReader reader(*source, record_bytes_max);
  std::vector<Record> records;
  while (true) {
    SAMTALE_TRY(auto record, reader.next());
    if (!record) return records;
    records.push_back(std::move(*record));
  }
}

std::vector<std::string> texts_of(const std::string& bytes) {
  const auto records = read_all(bytes);
  if (!records) return {"error: " + records.error().message};
  std::vector<std::string> texts;
  for (const auto& record : *records) {
    texts.push_back(std::to_string(record.line) + " " + record.text);
  }
  return texts;
}

std::string gzipped(const std::string& text) {
  std::string out(text.size() + 1000, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd_compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

TEST(RecordReaderTest, reads_lines_with_their_numbers_and_skips_empty_ones) {
  EXPECT_THAT(texts_of("\n{\"a\":1}\r\n\n  \n{\"b\":2}"),
              ElementsAre("2 {\"a\":1}", "5 {\"b\":2}"));
}

TEST(RecordReaderTest, a_broken_line_does_not_spoil_the_next) {
  EXPECT_THAT(texts_of("{\"a\":1}\n{\"a\":[\n{\"b\":2}\n"),
              ElementsAre("1 {\"a\":1}", "2 {\"a\":[", "3 {\"b\":2}"));
  EXPECT_THAT(texts_of("{\"a\" 1}\n{\"b\":2}\n"), ElementsAre("1 {\"a\" 1}", "2 {\"b\":2}"));
}

TEST(RecordReaderTest, reads_one_object_over_many_lines) {
  EXPECT_THAT(texts_of("{\n \"a\": \"x}\\\"{\",\n \"b\": [1]\n}\n"),
              ElementsAre("1 {  \"a\": \"x}\\\"{\",  \"b\": [1] }"));
}

TEST(RecordReaderTest, reads_the_values_of_an_array) {
  EXPECT_THAT(texts_of("[\n {\"a\":1},\n {\"b\":[2,\n3]} ,7]\n"),
              ElementsAre("2 {\"a\":1}", "3 {\"b\":[2, 3]}", "4 7"));
}

TEST(RecordReaderTest, drops_a_byte_order_mark) {
  EXPECT_THAT(texts_of("\xEF\xBB\xBF{\"a\":1}\n"), ElementsAre("1 {\"a\":1}"));
}

TEST(RecordReaderTest, a_record_that_is_too_long_is_told_and_the_next_is_read) {
  const auto records = read_all("{\"a\":1}\n\"" + std::string(5000, 'x') + "\"\n{\"b\":2}\n");

  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 3U);
  EXPECT_TRUE((*records)[1].is_too_long);
  EXPECT_EQ((*records)[1].text.size(), 1000U);
  EXPECT_EQ((*records)[2].text, "{\"b\":2}");
}

TEST(RecordReaderTest, compressed_bytes_are_the_same_records_also_in_several_parts) {
  const std::string first = "{\"a\":1}\n";
  const std::string second = "{\"b\":\"" + std::string(300, 'y') + "\"}\n";
  const auto expected = texts_of(first + second);

  EXPECT_EQ(texts_of(gzipped(first) + gzipped(second)), expected);
  EXPECT_EQ(texts_of(zstd_compressed(first) + zstd_compressed(second)), expected);
}

TEST(RecordReaderTest, compressed_bytes_that_are_cut_or_damaged_are_an_error) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "{\"a\":" + std::to_string(i * 7919) + "}\n";
  const auto gzip = gzipped(text);
  const auto zstd = zstd_compressed(text);

  const auto cut_gzip = read_all(gzip.substr(0, gzip.size() / 2));
  const auto cut_zstd = read_all(zstd.substr(0, zstd.size() / 2));

  ASSERT_FALSE(cut_gzip);
  EXPECT_THAT(cut_gzip.error().message, HasSubstr("damaged gzip data: it is cut short"));
  ASSERT_FALSE(cut_zstd);
  EXPECT_THAT(cut_zstd.error().message, HasSubstr("damaged zstd data: it is cut short"));
}

TEST(RecordReaderTest, the_way_values_are_laid_out_does_not_change_them) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    json::Array values;
    for (std::uint64_t i = 0, count = 1 + random() % 5; i < count; ++i) {
      std::string text;
      for (std::uint64_t j = random() % 40; j > 0; --j) text += "{}[]\",\\ \nx"[random() % 10];
      values.push_back(json::Object{{"t", text}, {"l", json::Array{json::Value(1)}}});
    }
    std::string lines;
    std::string follow;
    for (const auto& value : values) {
      lines += json::dump(value) + "\n";
      follow += json::dump_pretty(value) + (random() % 2 == 0 ? "\n" : " ");
    }

    for (const auto& bytes : {lines, follow, json::dump(values), json::dump_pretty(values)}) {
      const auto records = read_all(bytes, 100'000);
      ASSERT_TRUE(records);
      ASSERT_EQ(records->size(), values.size()) << bytes;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto read = json::parse((*records)[i].text);
        ASSERT_TRUE(read) << (*records)[i].text;
        ASSERT_EQ(*read, values[i]);
      }
    }
  }
}

// A server that takes every line but those that say otherwise: {"say":422}; "once" only then.
class ImporterTest : public ::testing::Test {
 protected:
  ImporterTest() : api_([this](http::Request request) { return serve(request); }, false) {}

  Result<http::Response> serve(const http::Request& request) {
    requests_.push_back(request);
    http::Response response;
    response.body = "{}";
    if (request.path == "/v1/companies") {
      if (times_away_ == 0) return response;
      --times_away_;
      return fail(ErrorCode::unavailable, "nobody is there");
    }
    response.body.clear();
    if (!next_statuses_.empty()) {
      response.status = next_statuses_.back();
      next_statuses_.pop_back();
      response.body = R"({"code":"unavailable","message":"full"})";
      response.headers = {{"Retry-After", "3"}};
      return response;
    }
    std::istringstream lines(request.body);
    int index = 0;
    for (std::string line; std::getline(lines, line); ++index) {
      auto status = int_at(*json::parse(line), "say");
      if (status == 429 && !busy_) status = 202;
      json::Object answer{{"index", index}, {"status", status == 0 ? std::int64_t{202} : status}};
      if (status == 422) answer.emplace_back("error", json::Object{{"message", "/turns: missing"}});
      response.body += json::dump(answer) + "\n";
    }
    busy_ = false;
    return response;
  }

  Importer importer(ImportOptions options) {
    return Importer(api_, clock_, std::move(options),
                    [this](const Record& record, const std::string& why) {
                      refused_.push_back(std::to_string(record.line) + ": " + why);
                    });
  }

  std::vector<http::Request> requests_;
  std::vector<int> next_statuses_;
  std::size_t times_away_ = 0;
  bool busy_ = true;
  HandClock clock_;
  Api api_;
  std::vector<std::string> refused_;
};

Record record(std::size_t line, std::string text) {
  Record made;
  made.text = std::move(text);
  made.line = line;
  return made;
}

TEST_F(ImporterTest, sends_bounded_pieces_and_counts_what_became_of_each_record) {
  auto importer = this->importer({.piece_records_max = 2, .company = "acme"});

  for (std::size_t line = 1; line <= 5; ++line) {
    ASSERT_TRUE(importer.add(record(line, line == 4 ? R"({"say":422})" : "{}")));
  }
  ASSERT_TRUE(importer.finish());

  EXPECT_EQ(requests_.size(), 3U);
  EXPECT_EQ(requests_[0].body, "{}\n{}\n");
  EXPECT_EQ(importer.counts().accepted, 4U);
  EXPECT_THAT(refused_, ElementsAre("4: /turns: missing"));
}

TEST_F(ImporterTest, each_record_goes_to_the_company_it_names) {
  auto importer = this->importer({.creates_companies = true});

  ASSERT_TRUE(importer.add(record(1, R"({"company_id":"a"})")));
  ASSERT_TRUE(importer.add(record(2, R"({"company_id":"b"})")));
  ASSERT_TRUE(importer.add(record(3, R"({"x":1})")));
  ASSERT_TRUE(importer.finish());

  ASSERT_EQ(requests_.size(), 4U);
  EXPECT_EQ(requests_[0].body, R"({"name":"a"})");
  EXPECT_THAT(requests_[1].headers, ::testing::Contains(::testing::Pair("x-samtale-company", "a")));
  EXPECT_THAT(refused_, ElementsAre("3: /company_id: is missing; name the company with --company"));
}

TEST_F(ImporterTest, what_the_server_had_no_room_for_is_sent_again_alone) {
  auto importer = this->importer({.company = "acme"});

  ASSERT_TRUE(importer.add(record(1, "{}")));
  ASSERT_TRUE(importer.add(record(2, R"({"say":429})")));
  ASSERT_TRUE(importer.finish());

  ASSERT_EQ(requests_.size(), 2U);
  EXPECT_EQ(requests_[1].body, "{\"say\":429}\n");
  EXPECT_EQ(importer.counts().accepted, 2U);
  EXPECT_EQ(clock_.slept.size(), 1U);
}

TEST_F(ImporterTest, a_full_server_is_asked_again_when_it_says_and_with_the_same_name) {
  next_statuses_ = {503, 429};
  auto importer = this->importer({.company = "acme"});

  ASSERT_TRUE(importer.add(record(1, "{}")));
  ASSERT_TRUE(importer.finish());

  EXPECT_THAT(clock_.slept, ElementsAre(std::chrono::seconds(3), std::chrono::seconds(3)));
  EXPECT_EQ(requests_[0].headers, requests_[2].headers);
  EXPECT_EQ(importer.counts().accepted, 1U);
}

TEST_F(ImporterTest, gives_up_on_a_server_that_stays_full) {
  next_statuses_ = std::vector<int>(50, 503);
  auto importer = this->importer({.tries_max = 4, .company = "acme"});

  ASSERT_TRUE(importer.add(record(1, "{}")));
  const auto finished = importer.finish();

  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().message, HasSubstr("after 4 tries"));
  EXPECT_EQ(requests_.size(), 4U);
}

TEST_F(ImporterTest, waits_for_a_server_that_has_just_been_started) {
  times_away_ = 2;
  auto importer = this->importer({.company = "acme", .creates_companies = true});

  ASSERT_TRUE(importer.add(record(1, "{}")));
  ASSERT_TRUE(importer.finish());

  EXPECT_EQ(importer.counts().accepted, 1U);
  EXPECT_EQ(clock_.slept.size(), 2U);
}

TEST_F(ImporterTest, ends_where_no_server_is_and_calls_no_record_refused) {
  times_away_ = 100;
  auto importer = this->importer({.company = "acme", .creates_companies = true});

  ASSERT_TRUE(importer.add(record(1, "{}")));
  const auto finished = importer.finish();

  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().message, HasSubstr("nobody is there"));
  EXPECT_THAT(refused_, ::testing::IsEmpty());
}

TEST_F(ImporterTest, holds_no_more_than_it_may_over_all_companies) {
  auto importer = this->importer({.held_bytes_max = 100});

  for (int i = 0; i < 10; ++i) {
    const auto text = R"({"company_id":"c)" + std::to_string(i) + R"("})";
    ASSERT_TRUE(importer.add(record(1, text)));
  }

  EXPECT_GE(requests_.size(), 6U);
}

}  // namespace
}  // namespace samtale::cli
