// What starts the page.
addEventListener("click", async event => {
  const id = event.target.dataset?.copy;
  if (!id) return;
  const code = document.getElementById(id);
  try {
    await navigator.clipboard.writeText(code.textContent);
    event.target.textContent = "Copied";
  } catch {
    // Where the clipboard is out of reach, the text is selected for the reader to copy.
    getSelection().selectAllChildren(code);
    event.target.textContent = "Selected";
  }
});

prepareTable();
prepareFilters();
prepareChart();
applyFilters();
await drawChart();
prepareDetail();
performance.mark("ready");
document.documentElement.dataset.ready = "yes";
