#include "services/evaluator/html.h"

#include <array>
#include <cstdio>

#include "images/codec.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

constexpr char kStyle[] = R"css(
:root { --ink: #1c2024; --soft: #60646c; --line: #e0e3e8; --page: #f6f7f9; --card: #fff;
  --pass: #18794e; --fail: #c62a2f; --inconclusive: #946800; --error: #6e56cf; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; display: flex; align-items: center; gap: 14px; }
h2 { font-size: 18px; margin: 40px 0 12px; }
p { margin: 4px 0; }
code { font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.badge { display: inline-block; padding: 2px 9px; border-radius: 6px; color: #fff; font-weight: 600;
  font-size: 12px; letter-spacing: .03em; white-space: nowrap; }
h1 .badge { font-size: 18px; padding: 4px 14px; }
.badge.pass { background: var(--pass); } .badge.fail { background: var(--fail); }
.badge.inconclusive { background: var(--inconclusive); } .badge.error { background: var(--error); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: 12px; font-weight: 600; color: var(--soft); }
th, td { padding: 9px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.reason td { padding-top: 0; } tr:has(+ .reason) td { border-bottom: 0; }
td.counted { white-space: normal; max-width: 130px; } td.claim { max-width: 230px; }
td.claim, td.name { overflow-wrap: anywhere; }
td a { color: inherit; font-weight: 600; text-decoration: none; }
td a:hover { text-decoration: underline; }
svg { display: block; } svg text { font-size: 10px; fill: var(--soft); }
svg.pass { fill: var(--pass); } svg.fail { fill: var(--fail); }
svg.inconclusive { fill: var(--inconclusive); } svg.error { fill: var(--error); }
details { margin: 10px 0; padding: 4px 18px; }
summary { cursor: pointer; padding: 10px 0; display: flex; align-items: center; gap: 12px; }
summary::before { content: "\25B8"; color: var(--soft); }
details[open] summary::before { content: "\25BE"; }
details h3 { font-size: 13px; margin: 16px 0 8px; }
.pictures { display: grid; grid-template-columns: repeat(6, 1fr); gap: 14px 12px;
  padding-bottom: 14px; }
figure { margin: 0; } figure.two { grid-column: span 2; } figure.three { grid-column: span 3; }
.panels { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 12px; }
.frame { position: relative; border: 3px solid var(--line); border-radius: 6px; overflow: hidden; }
.frame img { width: 100%; display: block; }
.right .plain { border-color: var(--pass); } .wrong .plain { border-color: var(--fail); }
.frame i { position: absolute; border: 1.5px solid #ffd60a; box-shadow: 0 0 0 1px #0008; }
.label { font-size: 11.5px; line-height: 1.4; padding-top: 4px; overflow-wrap: anywhere; }
.preview { display: flex; gap: 6px; padding-top: 4px; font-size: 11px; line-height: 1.3;
  color: var(--soft); }
.preview img { width: 44px; align-self: start; border: 1px solid var(--line); }
.key { display: inline-block; width: 90px; height: 10px; border-radius: 5px; margin: 0 6px;
  background: linear-gradient(90deg, #2166ac, #f4f4f4, #e66101); border: 1px solid var(--line); }
.prose { padding: 12px 20px; } .prose p { margin: 6px 0; }
.groups { width: auto; margin: 8px 0 14px; } .groups td, .groups th { padding: 6px 14px 6px 0; }
td.bad b { color: var(--fail); }
@media (max-width: 800px) { .pictures { grid-template-columns: repeat(3, 1fr); } }
li { margin: 6px 0; } .limits { padding: 8px 20px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 0;
  padding: 16px 20px; }
dd { margin: 0; } dt { color: var(--soft); }
)css";

std::string Base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

}  // namespace

std::string Html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Format(const char* format, double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string DataUri(const images::Image& image) {
  return "data:image/png;base64," + Base64(images::EncodePng(image));
}

std::string Badge(v1::Outcome outcome) {
  return "<span class=\"badge " + verdicts::Word(outcome) + "\">" + v1::Outcome_Name(outcome) +
         "</span>";
}

std::string Page(const std::string& title, const std::string& body, const std::string& more_style) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
         "<meta http-equiv=\"Content-Security-Policy\" "
         "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><title>" +
         Html(title) + "</title><style>" + kStyle + more_style + "</style></head><body><main>\n" +
         body + "</main></body></html>\n";
}

}  // namespace bitfoundry::evaluator
