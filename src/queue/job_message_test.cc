#include "queue/job_message.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

TEST(JobMessageTest, names_the_job_it_is_about) {
  const LentJob job{.company = CompanyId{7}, .id = static_cast<JobId>(12), .fence = 3};

  const auto body = encode_job_message("embed", job);
  const auto message = decode_job_message(body);

  EXPECT_EQ(body, R"({"v":1,"kind":"embed","company":7,"job":12,"fence":3})");
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->kind, "embed");
  EXPECT_EQ(message->job.company, job.company);
  EXPECT_EQ(message->job.id, job.id);
  EXPECT_EQ(message->job.fence, job.fence);
}

TEST(JobMessageTest, tells_another_version_from_what_is_no_message) {
  const auto code = [](const char* body) { return decode_job_message(body).error().code; };

  EXPECT_EQ(code(R"({"v":2,"ref":"x"})"), ErrorCode::invalid_argument);
  EXPECT_EQ(code(R"({"kind":"embed","company":7,"job":12,"fence":3})"), ErrorCode::corrupt);
  EXPECT_EQ(code(R"({"v":1,"kind":"embed","company":7,"job":12})"), ErrorCode::corrupt);
  EXPECT_EQ(code(R"({"v":1,"kind":"","company":7,"job":12,"fence":3})"), ErrorCode::corrupt);
  EXPECT_EQ(code(R"({"v":1,"kind":"embed","company":-7,"job":12,"fence":3})"), ErrorCode::corrupt);
  EXPECT_EQ(code(""), ErrorCode::corrupt);
}

}  // namespace
}  // namespace samtale
