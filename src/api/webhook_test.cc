// Goal:   a webhook takes effect only if the holder of the endpoint's secret signed it, recently,
//         and only for the endpoint's company; whatever is wrong, the answer is the same.
// Method: one well-signed delivery, then every way to spoil it.
#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;

constexpr std::string_view kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr std::string_view kBody = R"({"id":"call-1","turns":[{"text":"hello"}]})";

std::string mac(std::string_view secret, std::string_view id, std::string_view timestamp,
                std::string_view body) {
  const auto key = *unbase64(secret.substr(secret.find('_') + 1));
  const std::string message =
      std::string(id) + "." + std::string(timestamp) + "." + std::string(body);
  return base64(hmac_sha256(key, message));
}

class WebhookTest : public ApiTest {
 protected:
  std::string now() const { return std::to_string(to_us(clock.wall_now()) / 1'000'000); }
  Headers signed_headers(std::string_view secret, std::string_view body,
                         const std::string& id = "msg_1") const {
    return {{"webhook-id", id},
            {"webhook-timestamp", now()},
            {"webhook-signature", "v1," + mac(secret, id, now(), body)}};
  }
  static Headers with(Headers headers, std::string_view name, const std::string& value) {
    for (auto& [key, old] : headers) {
      if (key == name) old = value;
    }
    return headers;
  }
  http::Response deliver(const Headers& headers, std::string_view body = kBody) {
    return ask("POST", "/v1/webhooks/" + endpoint.id, "", std::string(body), headers);
  }
  http::Response deliver_signed(std::string_view secret, std::string_view body = kBody,
                                const std::string& id = "msg_1") {
    return deliver(signed_headers(secret, body, id), body);
  }

  const EndpointRecord endpoint = *tenants->create_endpoint(
      acme, {.preset = "standard-webhooks", .source = "shop", .secret = std::string(kSecret)});
};

TEST_F(WebhookTest, a_signed_event_is_accepted_for_the_endpoints_company_and_source) {
  const auto answer = deliver_signed(kSecret);
  settle();

  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(text_at(answer, "/event_id"), testing::StartsWith("evt_"));
  const auto stored = store->find_conversation(acme, make_conversation_id(acme, "shop", "call-1"));
  ASSERT_TRUE(*stored);
  EXPECT_EQ((*stored)->conversation.turns.front().text, "hello");
}

TEST_F(WebhookTest, whatever_is_wrong_with_the_signature_the_answer_is_the_same) {
  const auto good = signed_headers(kSecret, kBody);
  const auto right = mac(kSecret, "msg_1", now(), kBody);
  const auto wrong = mac("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_1", now(), kBody);
  std::vector<Headers> spoilt;
  for (const auto& signature :
       {"v1," + wrong, std::string(), std::string("v1,"), std::string("v1,!!!"), right,
        "v1," + right.substr(0, 20), "v1a," + right, "v2," + right, "V1," + right, "v1=" + right}) {
    spoilt.push_back(with(good, "webhook-signature", signature));
  }
  const auto seconds = std::stoll(now());
  for (const auto& timestamp :
       {std::to_string(seconds - 301), std::to_string(seconds + 301), std::string("yesterday"),
        std::string("-1"), "1" + std::string(30, '0'), std::string()}) {
    auto headers = with(good, "webhook-timestamp", timestamp);
    spoilt.push_back(
        with(headers, "webhook-signature", "v1," + mac(kSecret, "msg_1", timestamp, kBody)));
  }
  spoilt.push_back(signed_headers(kSecret, kBody, "msg.1"));
  spoilt.push_back(
      signed_headers(kSecret, "{\"id\": \"call-1\",\"turns\":[{\"text\":\"hello\"}]}"));
  for (std::size_t missing = 0; missing < good.size(); ++missing) {
    auto headers = good;
    headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(missing));
    spoilt.push_back(headers);
  }

  const auto first = deliver({});

  expect_error(first, 401, ErrorCode::unauthenticated);
  for (const auto& headers : spoilt) {
    const auto answer = deliver(headers);
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.body, first.body);
    EXPECT_EQ(answer.headers, first.headers);
  }
  EXPECT_EQ(accept_log->stats().appended, 0U);
  EXPECT_EQ(deliver(good).status, 202) << "what the others were made from is not good itself";
}

TEST_F(WebhookTest, only_the_first_signatures_are_tried) {
  const auto right = "v1," + mac(kSecret, "msg_1", now(), kBody);
  const auto behind = [&](int others) {
    std::string list;
    for (int i = 0; i < others; ++i) list += "v1," + base64(std::string(32, 'x')) + " ";
    return with(signed_headers(kSecret, kBody), "webhook-signature", list + right);
  };

  EXPECT_EQ(deliver(behind(4)).status, 202);
  EXPECT_EQ(deliver(behind(5)).status, 401);
  EXPECT_EQ(deliver(behind(999)).status, 401);
}

TEST_F(WebhookTest, a_public_key_is_no_secret_to_sign_with) {
  const std::string public_key(32, 'k');
  const auto other = *tenants->create_endpoint(
      acme, {.preset = "standard-webhooks", .secret = "whpk_" + base64(public_key)});
  const auto forged = mac(other.secrets.front().secret, "msg_1", now(), kBody);

  for (const auto& version : {"v1,", "v1a,"}) {
    const auto headers =
        with(signed_headers(kSecret, kBody), "webhook-signature", version + forged);
    expect_error(ask("POST", "/v1/webhooks/" + other.id, "", std::string(kBody), headers), 401,
                 ErrorCode::unauthenticated);
  }
}

TEST_F(WebhookTest, an_api_key_does_not_stand_in_for_a_signature) {
  const auto answer =
      ask("POST", "/v1/webhooks/" + endpoint.id, make_key(acme), std::string(kBody));

  expect_error(answer, 401, ErrorCode::unauthenticated);
}

TEST_F(WebhookTest, a_redelivery_gets_the_same_answer_and_has_no_second_effect) {
  const auto first = deliver_signed(kSecret);
  const auto again = deliver_signed(kSecret);

  EXPECT_EQ(first.status, 202);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(accept_log->stats().appended, 1U);
}

TEST_F(WebhookTest, an_id_with_another_body_is_a_conflict) {
  ASSERT_EQ(deliver_signed(kSecret).status, 202);

  expect_error(deliver_signed(kSecret, R"({"id":"call-2"})"), 409, ErrorCode::conflict);
}

TEST_F(WebhookTest, old_and_new_secret_hold_during_a_rotation_and_the_old_one_ends) {
  const auto rotated = ask("POST", "/v1/endpoints/" + endpoint.id + "/rotate", make_key(acme),
                           R"({"keep_old_s":60})");
  const auto fresh = text_at(rotated, "/secret");
  ASSERT_EQ(rotated.status, 200);
  const auto both = [&](const std::string& id) {
    auto headers = signed_headers(fresh, kBody, id);
    return with(headers, "webhook-signature",
                "v1," + mac(fresh, id, now(), kBody) + " v1," + mac(kSecret, id, now(), kBody));
  };

  EXPECT_EQ(deliver_signed(kSecret, kBody, "old").status, 202);
  EXPECT_EQ(deliver_signed(fresh, kBody, "new").status, 202);
  EXPECT_EQ(deliver(both("both")).status, 202);

  clock.advance(std::chrono::seconds(60));
  expect_error(deliver_signed(kSecret, kBody, "late"), 401, ErrorCode::unauthenticated);
  EXPECT_EQ(deliver_signed(fresh, kBody, "later").status, 202);
}

TEST_F(WebhookTest, nothing_in_a_delivery_can_name_another_company) {
  const auto theirs = *tenants->create_endpoint(globex, {.preset = "standard-webhooks"});
  const auto stated = R"({"id":"call-1","company_id":"globex"})";
  const auto wrapped = R"({"type":"call.ended","data":{"id":"call-1","company_id":"globex"}})";

  for (const std::string_view body : {stated, wrapped}) {
    expect_error(deliver_signed(kSecret, body), 403, ErrorCode::permission_denied);
  }
  EXPECT_EQ(deliver_signed(kSecret, R"({"id":"call-1","company_id":"acme"})").status, 202);
  const auto elsewhere = ask("POST", "/v1/webhooks/" + theirs.id, "", std::string(kBody),
                             signed_headers(kSecret, kBody));
  expect_error(elsewhere, 401, ErrorCode::unauthenticated);
  auto headers = signed_headers(kSecret, kBody, "msg_2");
  headers.emplace_back("x-samtale-company", "globex");
  EXPECT_EQ(deliver(headers).status, 202);
  settle();
  EXPECT_EQ(store->company_stats(globex)->conversations, 0);
}

TEST_F(WebhookTest, a_revoked_endpoint_answers_as_one_that_never_was) {
  const auto absent = ask("POST", "/v1/webhooks/none", "", std::string(kBody));
  ASSERT_EQ(ask("DELETE", "/v1/endpoints/" + endpoint.id, make_key(acme)).status, 200);

  const auto answer = deliver_signed(kSecret);

  expect_error(answer, 404, ErrorCode::not_found);
  EXPECT_EQ(answer.body, absent.body);
}

TEST_F(WebhookTest, a_signed_event_that_breaks_the_format_is_told_why) {
  const auto answer = deliver_signed(kSecret, R"({"turns":[{"text":17}]})");

  expect_error(answer, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("/turns/0/text"));
  EXPECT_EQ(accept_log->stats().appended, 0U);
}

TEST_F(WebhookTest, quotas_hold_for_webhooks_too) {
  const auto small = tenants->create_company({.name = "small", .events_per_second_max = 1})->id;
  const auto theirs = *tenants->create_endpoint(
      small, {.preset = "standard-webhooks", .secret = std::string(kSecret)});
  const auto deliver_to = [&](const std::string& id) {
    return ask("POST", "/v1/webhooks/" + theirs.id, "", std::string(kBody),
               signed_headers(kSecret, kBody, id));
  };
  EXPECT_EQ(deliver_to("1").status, 202);
  EXPECT_EQ(deliver_to("2").status, 202);

  expect_error(deliver_to("3"), 429, ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace samtale
