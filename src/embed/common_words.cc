#include "embed/common_words.h"

#include <functional>
#include <set>
#include <string>

#include "text/words.h"

namespace samtale {
namespace {

// Function words, greetings and the fillers of talk.
constexpr std::string_view kCommonWords =
    "the a an and or of to in is it i you for on that this with my me your be are do have can at "
    "as was not no yes so we he she they what will would if but from by am has had there please "
    "thank thanks ok okay hi hello oh um uh yeah just like know how about any all which been were "
    "their our them then than some up out get go "
    "og at det er en et den til på for med de af jeg ikke som har var du vi der men om kan så han "
    "hun fra eller min din mig dig sig ved nu vil skal bare også hvad hvor når her ja nej tak hej";

}  // namespace

bool is_common_word(std::string_view term) {
  // Through words(), so that the list is in the form of the terms it is compared with.
  static const auto terms = [] {
    const auto listed = words(kCommonWords);
    return std::set<std::string, std::less<>>(listed.begin(), listed.end());
  }();
  return terms.contains(term);
}

}  // namespace samtale
