#include "sys/resolve.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

// A name server that fails is what tests/integration/test_names.py brings.
class ResolveTest : public ::testing::Test {
 protected:
  Result<std::vector<std::string>> addresses_of(const std::string& host) {
    return resolve(host, clock_, clock_.now() + std::chrono::seconds(30));
  }

  SystemClock clock_;
};

TEST_F(ResolveTest, takes_an_address_for_itself_however_little_time_there_is) {
  for (const auto* address : {"127.0.0.1", "::1", "192.0.2.7"}) {
    EXPECT_EQ(resolve(address, clock_, clock_.now()).value(), std::vector<std::string>{address});
  }
}

TEST_F(ResolveTest, finds_this_machine) {
  const auto found = addresses_of("localhost");

  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->front() == "127.0.0.1" || found->front() == "::1") << found->front();
}

TEST_F(ResolveTest, names_what_it_could_not_find) {
  const auto found = addresses_of("nowhere.invalid");

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(found.error().message.contains("nowhere.invalid")) << found.error().message;
}

}  // namespace
}  // namespace samtale
