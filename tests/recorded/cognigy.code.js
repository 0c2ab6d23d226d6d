const score = input.intentScore;
input.cxroute = {
  conversationId: String(input.sessionId),
  intent: Array.from(String(input.intent || "").trim() || "none").slice(0, 256).join(""),
  confidence: typeof score === "number" && Number.isFinite(score) ? Math.min(Math.max(score, 0), 1) : null,
  timestamp: new Date().toISOString()
};
