(function () {
  "use strict";
  var box = document.getElementById("filter");
  if (!box) { return; }
  var find = document.getElementById("find");
  var count = document.getElementById("count");
  var changes = Array.prototype.slice.call(document.querySelectorAll(".change"));
  var texts = changes.map(function (one) { return one.textContent.toLowerCase(); });
  function rules(list) { return list.reduce(function (sum, one) { return sum + Number(one.dataset.rules); }, 0); }
  var all = rules(changes);
  function show() {
    var words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    changes.forEach(function (one, place) {
      one.hidden = !words.every(function (word) { return texts[place].indexOf(word) >= 0; });
    });
    count.textContent = rules(changes.filter(function (one) { return one.offsetParent !== null; })) + " of " + all;
  }
  box.hidden = false;
  find.addEventListener("input", show);
  document.querySelectorAll("[name=show]").forEach(function (one) { one.addEventListener("change", show); });
  show();
})();
