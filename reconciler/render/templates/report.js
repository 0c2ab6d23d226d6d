(() => {
  const box = document.getElementById("filter");
  if (!box) { return; }
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const changes = [...document.querySelectorAll(".change")];
  const texts = changes.map(one => one.textContent.toLowerCase());
  function show() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    changes.forEach((one, place) => { one.hidden = !words.every(word => texts[place].includes(word)); });
    count.textContent = `${changes.filter(one => one.offsetParent !== null).length} of ${changes.length}`;
  }
  box.hidden = false;
  find.addEventListener("input", show);
  document.querySelectorAll("[name=show]").forEach(one => one.addEventListener("change", show));
  show();
})();
