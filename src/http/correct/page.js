// Makes the page nicer; everything works without it.
"use strict";
(() => {
  const MOST = 2 * 1024 * 1024;
  const language = document.documentElement.lang;

  // Names of countries and dates, in the visitor's language.
  try {
    const names = new Intl.DisplayNames([language], { type: "region" });
    const order = new Intl.Collator(language);
    for (const list of document.querySelectorAll("select.country")) {
      const chosen = [...list.selectedOptions].map((option) => option.value);
      const options = [...list.options].filter((option) => option.value);
      for (const option of options) option.textContent = names.of(option.value) || option.textContent;
      options.sort((a, b) => order.compare(a.textContent, b.textContent));
      for (const option of options) list.append(option);
      for (const option of list.options) option.selected = chosen.includes(option.value);
    }
    for (const time of document.querySelectorAll("time")) {
      const date = new Date(time.dateTime);
      if (!Number.isNaN(date.getTime())) {
        time.textContent = new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(date);
      }
    }
  } catch {
    // An older browser shows them as they came.
  }

  document.getElementById("problems")?.focus();

  // A photo of a phone is larger than may be sent: it is made smaller here, and never leaves the phone whole.
  const smaller = async (file) => {
    if (!file.type.startsWith("image/") || file.size <= MOST) return file;
    const picture = await createImageBitmap(file);
    let scale = Math.min(1, 2400 / Math.max(picture.width, picture.height));
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      if (blob && blob.size <= MOST) {
        return new File([blob], file.name.replace(/\.[^.]*$/, "") + ".jpg", { type: "image/jpeg" });
      }
      scale *= 0.7;
    }
    return file;
  };

  const isRight = (file) => ["image/jpeg", "image/png", "application/pdf"].includes(file.type) && file.size <= MOST;

  for (const input of document.querySelectorAll("input[type=file]")) {
    const note = document.createElement("p");
    note.className = "problem";
    note.id = `${input.id}-wrong`;
    note.setAttribute("role", "alert");
    note.hidden = true;
    note.textContent = input.dataset.wrong;
    input.after(note);
    input.addEventListener("change", async () => {
      let files = [...input.files];
      try {
        files = await Promise.all(files.map(smaller));
        const list = new DataTransfer();
        for (const file of files) list.items.add(file);
        input.files = list.files;
      } catch {
        // What cannot be made smaller is told below.
      }
      const wrong = files.some((file) => !isRight(file));
      note.hidden = !wrong;
      input.toggleAttribute("aria-invalid", wrong);
      input.setCustomValidity(wrong ? input.dataset.wrong : "");
    });
  }
})();
