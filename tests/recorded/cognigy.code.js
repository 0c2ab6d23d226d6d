// cxroute: what the HTTP Request node after this one posts. Neither require nor a library is needed.
const score = input.intentScore;
input.cxroute = {
  conversationId: String(input.sessionId),
  // Both are null where the bot understood nothing.
  intent: Array.from(String(input.intent || "").trim() || "none").slice(0, 256).join(""),
  confidence: typeof score === "number" && Number.isFinite(score) ? Math.min(Math.max(score, 0), 1) : null,
  timestamp: new Date().toISOString()
};
