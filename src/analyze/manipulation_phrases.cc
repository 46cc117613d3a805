#include "analyze/manipulation_phrases.h"

#include <re2/set.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace samtale {
namespace {

// RE2's syntax over the bytes of a folded text, in whole words: a space is whatever stands between
// two words of a sentence, "_3" up to three more words, "\pL" a byte of a letter. No letter beyond
// ASCII stands in a class or before a quantifier: it is several bytes.
struct Words {
  Manipulation family;
  std::string_view pattern;
};
// The same, as it stands: marks, and languages that write no spaces.
using Marks = Words;

constexpr std::string_view kLetter = R"([a-z0-9\x80-\xff])";
constexpr std::string_view kNoLetter = R"([^a-z0-9\x80-\xff])";
constexpr std::string_view kBetween = R"([^a-z0-9\x80-\xff.!?]{1,4})";
constexpr std::string_view kWord = R"([a-z0-9\x80-\xff'-]+)";

// What an order to drop one's instructions is made of, language by language. A verb alone is no
// order: people ignore messages, forget appointments and cancel orders. So neither "order" nor
// "message" is among the nouns, and a noun needs a word that says whose or which.
constexpr Words
    kInstructions[] =
        {
            // English
            {Manipulation::instruction,
             R"((?:ignor(?:e|ing)|disregard(?:ing)?|overrid(?:e|ing)|bypass|discard|dismiss|overrule|abandon|set aside|(?:do not|don.?t|stop|cease) (?:follow|obey|heed|comply with)(?:ing)?) _4(?:previous|prior|above|earlier|preceding|foregoing|former|initial|original|existing|all|any|every|whatever|system|safety|developer.?s?|your|past|usual) _3(?:instructions?|prompts?|guidelines|guardrails|directives?|directions|programming|safeguards|system prompt|system message|training))"},
            {Manipulation::instruction,
             R"((?:ignor(?:e|ing)|disregard(?:ing)?|overrid(?:e|ing)|discard|(?:do not|don.?t|stop) follow(?:ing)?) _3(?:all|any|every|previous|prior|above|earlier|safety|content) _2(?:rules|commands|restrictions|constraints|context|filters|policies))"},
            {Manipulation::instruction,
             R"((?:ignor(?:e|ing)|disregard(?:ing)?|discard) _2(?:instructions|prompt|guidelines|directives|directions|rules|context|text) (?:_2above|_2before this|you (?:were|have been|got|received) _3))"},
            {Manipulation::instruction,
             R"((?:please|now|and|then|just|must|should|to|you) forget _3(?:previous|prior|above|earlier|initial|original|all|your) _3(?:instructions|prompts?|guidelines|directives|programming|training|rules))"},
            {Manipulation::instruction,
             R"((?:ignore|disregard|forget|discard) (?:about )?(?:everything|anything|all|whatever|what) _3(?:above|before this|you (?:were|have been|.ve been|are) (?:told|instructed|taught|given|trained|programmed)|(?:they|he|she|anyone|the developers?|your \pL+) told you))"},
            {Manipulation::instruction,
             R"((?:your|here (?:is|are)) _2(?:new|real|actual|true|updated|only) (?:task|instructions?|directives?|objective|goal|orders|prompt|rules) (?:is|are|now|follows?|from))"},
            {Manipulation::instruction,
             R"(system (?:prompt )?override|override _2system prompt|new system prompt|(?:(?:these|the following|my) instructions|this message) (?:override|supersede|replace|take precedence over|outrank) _5)"},
            {Manipulation::instruction,
             R"(your (?:\pL+ )?(?:instructions|guidelines|restrictions|programming|directives) (?:are|is|have been|has been|do|does|will|no) _2(?:cancel\pL*|void|revoked|suspended|lifted|disabled|obsolete|apply|applies|valid))"},
            // Danish, Norwegian
            {Manipulation::instruction, R"((?:ignor(?:e|é)r|se bort fra|bortse fra|glem|tilsid?esæt|overse|omgå|overtræd|følg ikke|lad være med at følge) _4(?:tidligere|forrige|foregående|ovenstående|ovennævnte|hidtidige|oprindelige|alle|dine|samtlige|øvrige) _3(?:instruk\pL+|anvisning\pL*|retningslinje\pL*|regler(?:ne)?|(?:system)?prompts?\pL*|direktiv\pL*|befaling\pL*|kommando\pL*))"},
            {Manipulation::instruction,
             R"((?:ignor(?:e|é)r|se bort fra|glem) (?:alt|alting|hvad)(?: det)? _3(?:ovenfor|ovenstående|(?:du|i|der) (?:har|er|blev) (?:fået|blevet)? ?(?:at vide|fortalt|sagt|lært|instrueret|besked på)|inden dette))"},
            {Manipulation::instruction,
             R"(din(?:e)? nye? (?:opgave|rolle|instruk\pL+|ordre) (?:er|lyder)|dine _1(?:regler|instruk\pL+|retningslinjer) gælder (?:ikke|nu ikke) (?:længere|mere))"},
            // German
            {Manipulation::instruction,
             R"((?:ignor\pL+|missacht\pL+|vergi(?:ss|ß)|vergesst|vergessen sie|übergeh\pL*|verwirf|umgeh\pL*|befolg\pL* (?:nicht)?) _4(?:bisherige\pL?|vorherige\pL?|vorige\pL?|obige\pL?|frühere\pL?|vorangegangene\pL?|vorangehende\pL?|vorstehende\pL?|ursprüngliche\pL?|alle\pL?|sämtliche\pL?|deine\pL?|eure\pL?|jegliche\pL?) _3(?:anweisung\pL*|instruktion\pL*|befehle?\pL?|vorgaben?|regeln?|richtlinien?|(?:system)?.?prompts?|systemanweisung\pL*|direktiven?|anordnung\pL*))"},
            {Manipulation::instruction,
             R"((?:ignor\pL+|vergi(?:ss|ß)|vergessen sie) (?:alles|was) _4(?:oben|bisher|davor|zuvor|dir gesagt wurde|man dir gesagt hat|du gelernt hast))"},
            {Manipulation::instruction,
             R"(deine neuen? (?:aufgabe|rolle|anweisung\pL*) (?:ist|sind|lautet|lauten)|gelten deine _1(?:regeln|anweisungen|richtlinien) nicht|deine _1(?:regeln|anweisungen|richtlinien) gelten _2nicht mehr)"},
            // French
            {Manipulation::instruction,
             R"((?:ignore[rz]?|oublie[rz]?|néglige[rz]?|outrepasse[rz]?|contourne[rz]?|désobéi\pL+ à|(?:ne )?(?:tiens|tenez|tenir|suis|suivez) (?:pas|plus)(?: compte)?|fai(?:s|tes|re) abstraction) _3(?:toutes?|tous|tes|vos|ces|les|des) _3(?:instructions?|consignes?|directives?|règles|prompts?|indications) (?:_2(?:précédent\pL*|antérieur\pL*|ci.dessus|initial\pL*|d.origine|système|reçues|données|existantes)))"},
            {Manipulation::instruction,
             R"((?:ignore[rz]?|oublie[rz]?|outrepasse[rz]?|contourne[rz]?|fai(?:s|tes) abstraction) _2(?:toutes (?:les|tes|vos|ces)|tes|vos) _2(?:instructions|consignes|directives|prompts?))"},
            {Manipulation::instruction,
             R"((?:ignore[rz]?|oublie[rz]?) (?:tout )?ce (?:qui précède|qu.on t.a dit|qu.on vous a dit))"},
            {Manipulation::instruction,
             R"((?:ta nouvelle (?:tâche|mission|instruction|consigne) (?:est|consiste)|tes nouvelles (?:instructions|consignes) sont)|tes _1(?:règles|instructions|consignes) ne s.appliquent (?:plus|pas))"},
            // Spanish
            {Manipulation::instruction,
             R"((?:ignor(?:a|ad|ar|e|en)|olvid(?:a|ad|ar|e)|olvídate de|olvídese de|descarta|desatiende|desobedece|(?:haz|haga) caso omiso (?:de|a)|no (?:sigas|hagas caso (?:de|a)|tengas en cuenta)|omite|anula) _3(?:instrucci\pL+|directrices|directivas|indicaciones|reglas|normas|prompts?|pautas|consignas|órdenes) _2(?:anterior\pL*|previ[ao]s?|precedentes?|de arriba|inicial\pL*|originales|del sistema|recibidas))"},
            {Manipulation::instruction,
             R"((?:ignor(?:a|ad|ar|e|en)|olvid(?:a|ad|ar|e)|olvídate de|olvídese de|descarta|desatiende|desobedece|(?:haz|haga) caso omiso (?:de|a)|no sigas) _2(?:todas (?:las|tus|sus)|tus) _2(?:instrucciones|directrices|directivas|indicaciones|reglas|normas|prompts?|pautas))"},
            {Manipulation::instruction,
             R"((?:ignora|ignore|olvida|olvide) (?:todo )?lo (?:anterior|de arriba|que te (?:han|he|hayan) dicho))"},
            {Manipulation::instruction,
             R"((?:tu nueva (?:tarea|misión|instrucción) (?:es|consiste)|tus nuevas (?:instrucciones|órdenes) son)|tus _1(?:reglas|instrucciones|directrices) ya no (?:se )?(?:valen|aplican))"},
            // Italian, Portuguese
            {Manipulation::instruction,
             R"((?:ignor(?:a|ate|are|i)|dimentica(?:te|re)?|trascura(?:te)?|non (?:seguire|considerare)) _3(?:istruzion[ie]|direttive|regole|prompt|indicazioni|comandi) _2(?:precedent[ie]|di cui sopra|iniziali|ricevute|originali|del sistema))"},
            {Manipulation::instruction,
             R"((?:ignor[ea]|ignorar|esque(?:c|ç)[ae]|desconsider[ea]|descart[ea]) _3(?:instruç(?:ões|ão)|regras|diretrizes|comandos|orientações|prompts?) _2(?:anterior\pL*|prévias|acima|iniciais|originais|do sistema))"},
            // Dutch, Swedish
            {Manipulation::instruction,
             R"((?:negeer|vergeet|omzeil|volg niet) _3(?:alle|eerdere|vorige|voorgaande|bovenstaande|je|jouw) _2(?:instructies?|aanwijzingen|regels|(?:systeem)?prompts?|richtlijnen|bevelen))"},
            {Manipulation::instruction,
             R"((?:ignorera|glöm|bortse från|strunta i|åsidosätt) _3(?:alla|tidigare|föregående|ovanstående|dina) _2(?:instruktion\pL*|anvisning\pL*|regler|riktlinjer|(?:system)?prompt\pL*))"},
            // Polish, Russian, Turkish
            {Manipulation::instruction,
             R"((?:z?ignoruj\pL*|pomiń\pL*|zapomnij\pL*(?: o)?|odrzuć\pL*) _3(?:wszystki\pL+|poprzedni\pL*|wcześniejsz\pL+|powyższ\pL+|swo\pL+|dotychczasow\pL+) _2(?:polece\pL+|instrukcj\pL+|wytyczn\pL+|zasad\pL*|reguł\pL*|prompt\pL*))"},
            {Manipulation::instruction,
             R"((?:про)?(?:игнорир\pL+|забудь\pL*|отбрось\pL*|не следуй\pL*|не обращай\pL* внимания на) _3(?:вс(?:е|ё)\pL*|предыдущ\pL+|прежн\pL+|ранн\pL+|вышеуказанн\pL+|прошл\pL+|свои\pL*|твои\pL*) _2(?:инструкци\pL+|указани\pL+|команд\pL*|правил\pL*|промпт\pL*|директив\pL*|установк\pL*))"},
            {Manipulation::instruction,
             R"((?:önceki|yukarıdaki|tüm|bütün|daha önceki) _3(?:talimat|yönerge|komut|kural|istem)\pL* _2(?:görmezden gel|yok say|unut|dikkate alma|göz ardı et|boş ver)\pL*)"},
};

constexpr Words
    kOthers
        [] =
            {
                // The prompt, and conversations of others.
                {Manipulation::leak,
                 R"((?:reveal|show|print|repeat|output|display|disclose|expose|leak|dump|recite|return|share|quote|paste|copy|translate|summari[sz]e|tell (?:me|us)|give (?:me|us)|write(?: out| down)?|what(?:.s| is| are| was| were)) _5(?:(?:system|hidden|initial|secret|developer|original|underlying|starting).?prompt|(?:system|hidden|secret|developer) instructions|your (?:\pL+ )?prompts?|prompt (?:above|verbatim|word for word)))"},
                {Manipulation::leak,
                 R"((?:reveal|show|print|repeat|output|display|disclose|expose|leak|dump|recite|share|quote|paste|include|list|tell|give) _4(?:(?:conversations|transcripts|chats|calls|messages) _2you _1(?:see|access|remember|read|know|have seen)|(?:(?:other|another|all|different) (?:customer|user|compan|tenant|client|caller)\pL*.{0,2}) _1(?:conversations?|transcripts?|chats?|secrets|private data|personal data|messages)|(?:conversations?|transcripts?|chats|messages) (?:of|from|with) (?:other|another|all) (?:customer|user|compan|tenant|client|caller)\pL*))"},
                {Manipulation::leak,
                 R"((?:repeat|print|output|write|recite) _3(?:everything|all|text|words?|the words) (?:above|before this|you were told|in your (?:context|prompt)))"},
                {Manipulation::leak,
                 R"((?:vis|afslør|udskriv|gentag|fortæl|skriv|giv|oplys|print|citer|del|hvad (?:er|står)|hvordan lyder) _5(?:system.?prompt\pL*|systeminstru\pL+|systembesked\pL*|skjulte (?:instru\pL+|prompt\pL*)|hemmelige (?:instru\pL+|prompt\pL*)|din (?:\pL+ )?prompt))"},
                {Manipulation::leak,
                 R"((?:vis|afslør|udskriv|gentag|fortæl|skriv|giv|oplys|del) _4(?:(?:andre|de andre) (?:kunders|brugeres|firmaers|virksomheders) (?:samtaler|data|beskeder|oplysninger|chats?)|(?:andre )?samtaler _2du (?:kan se|har adgang til|kender|har læst)))"},
                {Manipulation::leak,
                 R"((?:zeige?|verrate?|gib|nenne?|wiederhole?|schreibe?|offenbare?|drucke?|teile?|zitiere?|was ist|wie lautet|wie lauten) _5(?:system.?prompts?|systemanweisung\pL*|systemnachricht\pL*|(?:geheime|versteckte|verborgene|interne)\pL? (?:anweisung\pL*|prompts?)|dein\pL* (?:\pL+ )?prompts?))"},
                {Manipulation::leak,
                 R"((?:zeige?|verrate?|gib|nenne?|wiederhole?|schreibe?|teile?) _4(?:(?:gespräche|chats|daten|nachrichten|unterhaltungen) (?:von |der )?(?:anderer|anderen) (?:kunden|nutzer|firmen|unternehmen|benutzer)\pL*|andere\pL? (?:gespräche|unterhaltungen|chats) _2(?:siehst|kennst|gelesen hast|zugriff hast)))"},
                {Manipulation::leak,
                 R"((?:affiche|montre|révèle|donne|répète|imprime|écri[st]|dévoile|divulgue|communique|recopie|cite|quel(?:le)?s? (?:est|sont))\pL* _5(?:prompt (?:système|initial|caché|secret)|(?:invite|message|instructions?|consignes?) (?:du |de )?(?:système|cachée?s?|secrète?s?)|(?:ton|votre) (?:\pL+ )?prompt))"},
                {Manipulation::leak,
                 R"((?:affiche|montre|révèle|donne|répète|écri[st]|divulgue|communique)\pL* _4(?:conversations|données|messages|échanges) (?:des|d) _1autres (?:clients|utilisateurs|entreprises|sociétés))"},
                {Manipulation::leak,
                 R"((?:mu(?:e|é)stra(?:me)?|revela(?:me)?|imprime|repite|dime|escribe|dame|enséñame|enseña|comparte|divulga|cuál(?:es)? (?:es|son)) _5(?:(?:prompt|mensaje|instrucciones|indicaciones) (?:del |de )?(?:sistema|inicial\pL*|ocult[ao]s?|secret[ao]s?)|tu (?:\pL+ )?prompt))"},
                {Manipulation::leak,
                 R"((?:mu(?:e|é)stra(?:me)?|revela|imprime|repite|dime|escribe|dame|enséñame|enseña|comparte|divulga) _4(?:conversaciones|datos|mensajes|chats) (?:de )?_1otr[ao]s (?:clientes|usuarios|empresas|compañías))"},
                // Another model, without rules.
                {Manipulation::persona,
                 R"(you(?:.re| are) now (?:(?:an?|the|my|in|running in) (?:\pL+ ){0,2})?(?:(?:developer|debug|god|dan|jailbreak|admin|administrator|maintenance|unrestricted|root|test).?mode|ai|a.i|assistant|chatbot|language model|llm|gpt|dan|uncensored|unrestricted|jailbroken|unfiltered))"},
                {Manipulation::persona,
                 R"(do anything now|(?:act|behave|respond|answer|pretend|operate|roleplay|role.play) _5(?:no (?:\pL+ )?(?:restrictions|filters?|guidelines|censorship|limitations|safeguards|guardrails)|without (?:any |your )?(?:\pL+ )?(?:restrictions|filters?|guidelines|censorship|limitations|safeguards|guardrails)|as (?:an? )?(?:unrestricted|uncensored|unfiltered|jailbroken|evil|dan))|(?:enter|activate|enable|switch to|engage) (?:dan|god|jailbreak|unrestricted|uncensored) mode)"},
                {Manipulation::persona,
                 R"((?:du er (?:nu|fra nu af) (?:(?:en|et|min|i) (?:\pL+ ){0,2})?(?:(?:udvikler|admin|test)\pL*tilstand|ai|kunstig intelligens|sprogmodel|assistent|chatbot|hacker)|(?:lad som om|opfør dig som om|svar) _4(?:(?:ingen|uden|ikke har(?: nogen)?) (?:\pL+ )?(?:begrænsninger|filtre|restriktioner|retningslinjer|censur)|du ikke har nogen regler)))"},
                {Manipulation::persona,
                 R"((?:du bist (?:jetzt|nun|ab jetzt|ab sofort) (?:(?:eine?|mein|im) (?:\pL+ ){0,2})?(?:entwicklermodus|ki|sprachmodell|assistent|chatbot|dan|hacker)|(?:tu so|verhalte? dich|antworte?|agiere?) _5(?:keine|ohne) (?:\pL+ )?(?:einschränkungen|beschränkungen|filter|zensur|richtlinien|regeln)))"},
                {Manipulation::persona,
                 R"((?:(?:tu es|vous êtes) (?:maintenant|désormais) (?:(?:une?|mon|en) (?:\pL+ ){0,2})?(?:mode développeur|ia|assistant|chatbot|modèle de langage|dan|hacker)|(?:fai(?:s|tes) comme si|agi(?:s|ssez)|répond(?:s|ez)|comporte.toi) _5(?:aucune|sans|pas de|plus de) (?:\pL+ )?(?:restrictions?|filtres?|censure|limites?|règles?)))"},
                {Manipulation::persona,
                 R"((?:(?:ahora|a partir de ahora) eres (?:(?:una?|mi) (?:\pL+ ){0,2})?(?:ia|asistente|chatbot|modelo de lenguaje|dan|hacker)|(?:estás|entra) (?:ahora )?en modo (?:desarrollador|administrador|dios)|(?:finge|actúa|responde|compórtate) _5(?:sin|no tienes|no tuvieras|ninguna) (?:\pL+ )?(?:restricciones|filtros|censura|límites|limitaciones|reglas)))"},
                // Whoever reads along.
                {Manipulation::reader,
                 R"((?:attention|note|message|notice|instructions?|memo|reminder|important) (?:to |for )?(?:the |any |all |every )?(?:ai|a.i|llms?|language models?|ai (?:assistants?|models?|agents?|systems?|reviewers?|graders?|summari[sz]ers?)) _2(?:reading|processing|analy[sz]ing|summari[sz]ing|evaluating|scoring|grading|reviewing|that|which|who|must|should|you))"},
                {Manipulation::reader,
                 R"((?:ai|llms?|language models?|summari[sz]er|chatgpt|gpt) _3(?:read|process|analy[sz]|summari[sz]|evaluat|scor|grad|review)(?:e|es|s|ing) (?:this|the) (?:conversation|transcript|chat|call|ticket|dialogue))"},
                {Manipulation::reader,
                 R"((?:when|while|before) (?:you )?(?:summari[sz]|analy[sz]|classify|evaluat)(?:e|ing)? (?:this|the) (?:conversation|transcript|chat|call|dialogue) _8(?:say|state|write|output|mention|include|report|conclude|claim|rate|score|give|answer|respond|always|only|must))"},
                {Manipulation::reader,
                 R"((?:til (?:den |alle )?(?:ai|kunstige intelligens|sprogmodel\pL*)|(?:ai|sprogmodel\pL*)) _2(?:der|som) _3(?:læser|analyserer|vurderer|opsummerer|bedømmer) (?:denne|samtalen|dette))"},
                {Manipulation::reader,
                 R"((?:an (?:die|alle) ki|an das sprachmodell|hinweis (?:an|für) (?:die ki|das sprachmodell)) _6(?:liest|lesen|analysiert|auswertet|bewertet|zusammenfasst))"},
                {Manipulation::reader,
                 R"((?:à l.ia|au modèle(?: de langage)?|note pour l.ia) qui (?:lit|lira|analyse|évalue|résume|note))"},
                {Manipulation::reader,
                 R"((?:a la ia|al modelo(?: de lenguaje)?|nota para la ia) que (?:lee|lea|analiza|analice|evalúa|evalúe|resume|resuma))"},
};

constexpr Marks kMarks[] = {
    // Chinese, Japanese, Korean, Arabic
    {Manipulation::instruction,
     R"(((?:忽略|无视|忽视|忘记|忘掉|不要理会|不要遵循|不要遵守|抛弃|無視|忽略掉)[^.!?\n]{0,24}(?:之前|以上|先前|上面|前面|此前|所有|全部|你的|系统|原来|一切)[^.!?\n]{0,24}(?:指令|指示|提示|规则|命令|要求|设定|说明)))"},
    {Manipulation::instruction,
     R"(((?:これまで|今まで|以前|上記|前述|先ほど|すべて|全て|あなた)(?:の)?[^.!?\n]{0,24}(?:指示|命令|プロンプト|ルール|規則|指令)[^.!?\n]{0,24}(?:無視|忘れ|破棄|従わな)))"},
    {Manipulation::instruction,
     R"(((?:이전|위|앞선|모든|지금까지)[^.!?\n]{0,30}(?:지시|명령|프롬프트|규칙|지침)[^.!?\n]{0,30}(?:무시|잊어|따르지)))"},
    {Manipulation::instruction,
     R"(((?:تجاهل|تجاهلي|انس|انسَ|أهمل|لا تتبع)[^.!?\n]{0,24}(?:التعليمات|تعليمات|الأوامر|التوجيهات|القواعد|الإرشادات)(?:[^.!?\n]{0,24}(?:السابقة|أعلاه|الأصلية|الموجهة))?))"},
    // Roles and delimiters of the formats that models are trained on, and of our own transcript.
    {Manipulation::role, R"((<\|[a-z_]{2,30}\|>))"},
    {Manipulation::role, R"((\[/?inst\]|<<\s?/?sys\s?>>|<(?:start|end)_of_turn>))"},
    {Manipulation::role,
     R"((?:^|\n)\s*(#{2,6}\s*(?:system|instructions?|assistant|human|response|prompt|(?:new|system|real|updated) (?:prompt|message|instructions?|task))\s*(?::|\n|$)))"},
    {Manipulation::role,
     R"((</?(?:system|assistant|transcript|conversation|instructions?|(?:system|important|admin|developer|new)[_ -](?:prompt|message|instructions?|note|override)|untrusted[a-z_ -]{0,20})\s?/?>))"},
    {Manipulation::role,
     R"((?:^|\n)\s*([\[(*]{0,2}(?:system|admin|developer)\s(?:prompt|override|instructions?|command)s?[\])*]{0,2}\s?:))"},
    {Manipulation::role,
     R"((?:^|\n)\s*(\[\d{1,5}\] (?:agent|customer|system|assistant|bot|user):))"},
    {Manipulation::role, R"_(("role"\s?:\s?"(?:system|assistant|tool|developer|function)"))_"},
    {Manipulation::role,
     R"(((?:`{3}|-{3,}|={3,}|#{3,}|\*{3,})\s*(?:end|start|begin(?:ning)?) of (?:the )?(?:data|context|system prompt|prompt|input|documents?|instructions|user (?:input|message|data))))"},
    {Manipulation::role, R"((={3,}\s?(?:system|instructions?|conversation [a-z0-9]{1,3}\s)))"},
    // Results of tools.
    {Manipulation::tool,
     R"((?:^|\n)\s*([\[(<]?(?:tool|function)[ _](?:result|output|response|return|call)s?[\])>]?\s?[:={]))"},
    {Manipulation::tool,
     R"_((</?(?:tool|function)_(?:call|result|response|output)s?>|"(?:tool_calls?|tool_results?|tool_use|function_call|tool_call_id)"\s?:))_"},
};

std::string expand(std::string_view words) {
  std::string pattern("(?:^|");
  pattern.append(kNoLetter).append(")(");
  while (!words.empty()) {
    const bool is_digit = words.size() > 1 && words[1] >= '0' && words[1] <= '9';
    std::size_t taken = 1;
    if (words[0] == '_' && is_digit) {
      pattern.append("(?:").append(kWord).append(kBetween).append("){0,");
      pattern.append(1, words[1]).append("}");
      taken = 2;
    } else if (words.starts_with(R"(\pL)")) {
      pattern.append(kLetter);
      taken = 3;
    } else if (words[0] == ' ') {
      pattern.append(kBetween);
    } else {
      pattern += words[0];
    }
    words.remove_prefix(taken);
  }
  return pattern.append(")(?:$|").append(kNoLetter).append(")");
}

re2::RE2::Options options() {
  re2::RE2::Options bytes(re2::RE2::Quiet);
  bytes.set_encoding(re2::RE2::Options::EncodingLatin1);
  return bytes;
}

void add(Manipulation family, const std::string& pattern,
         std::vector<ManipulationPhrase>& phrases) {
  auto compiled = std::make_unique<const re2::RE2>(pattern, options());
  SAMTALE_CHECK(compiled->ok(), "a phrase of the table compiles");
  phrases.push_back({family, std::move(compiled)});
}

}  // namespace

const std::vector<ManipulationPhrase>& manipulation_phrases() {
  static const auto kPhrases = [] {
    std::vector<ManipulationPhrase> phrases;
    for (const auto& [family, words] : kInstructions) add(family, expand(words), phrases);
    for (const auto& [family, words] : kOthers) add(family, expand(words), phrases);
    for (const auto& [family, marks] : kMarks) add(family, std::string(marks), phrases);
    std::ranges::stable_sort(phrases, {}, &ManipulationPhrase::family);
    return phrases;
  }();
  return kPhrases;
}

bool may_hold_phrase(std::string_view folded) {
  static const auto kAll = [] {
    auto all = std::make_unique<re2::RE2::Set>(options(), re2::RE2::UNANCHORED);
    for (const auto& phrase : manipulation_phrases()) {
      all->Add(phrase.pattern->pattern(), nullptr);
    }
    SAMTALE_CHECK(all->Compile(), "phrases that compile one by one do so together");
    return all;
  }();
  re2::RE2::Set::ErrorInfo error{};
  const bool is_match = kAll->Match({folded.data(), folded.size()}, nullptr, &error);
  // Out of memory for its automaton it knows nothing.
  return is_match || error.kind != re2::RE2::Set::kNoError;
}

}  // namespace samtale
