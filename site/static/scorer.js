// How the search orders its results: by the weights of Sphinx; then pages about other software, and last those for
// developers of cxroute.
const LATER = [
  { pages: /^(comparison|reference\/api-contract)$/, by: 50 },
  { pages: /^internals/, by: 100 },
];

var Scorer = {
  score([page, _title, _anchor, _description, score]) {
    const later = LATER.find((each) => each.pages.test(page));
    return later ? score - later.by : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
