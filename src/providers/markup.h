// Plain text out of the markup that chat systems send. Not a front door.
#pragma once

#include <string>
#include <string_view>

namespace samtale {

// HTML to text: block ends and <br> become new lines, other tags go, character references are
// resolved. For indexing, never for display: what comes out may still look like markup.
[[nodiscard]] std::string text_of_html(std::string_view html);

// Slack's mrkdwn to text: "<url|label>" becomes its label, "&lt;" and its like are resolved.
// Source: https://api.slack.com/reference/surfaces/formatting, "Retrieving messages".
[[nodiscard]] std::string text_of_mrkdwn(std::string_view mrkdwn);

}  // namespace samtale
