(() => {
  const box = document.getElementById("filter");
  if (!box) { return; }
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const changes = [...document.querySelectorAll(".change")];
  const texts = changes.map(one => one.textContent.toLowerCase());
  const rules = list => list.reduce((sum, one) => sum + Number(one.dataset.rules), 0);
  function show() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    changes.forEach((one, place) => { one.hidden = !words.every(word => texts[place].includes(word)); });
    count.textContent = `${rules(changes.filter(one => one.offsetParent !== null))} of ${rules(changes)}`;
  }
  box.hidden = false;
  find.addEventListener("input", show);
  document.querySelectorAll("[name=show]").forEach(one => one.addEventListener("change", show));
  show();
})();
