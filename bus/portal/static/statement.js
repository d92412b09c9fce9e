/* Puts what is in a chosen file into the form: without scripts it is pasted. */
"use strict";

const chooser = document.getElementById("file");
chooser.closest("p").hidden = false;
chooser.addEventListener("change", async () => {
  const [file] = chooser.files;
  if (file) {
    document.getElementById("statement").value = await file.text();
  }
});
