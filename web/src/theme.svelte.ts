// Grey by default; a dark one for dim control rooms. The choice is kept.
const KEPT = "ronghe.theme";

class Theme {
  dark = $state(localStorage.getItem(KEPT) === "dark");

  constructor() {
    this.show();
  }

  flip() {
    this.dark = !this.dark;
    localStorage.setItem(KEPT, this.dark ? "dark" : "grey");
    this.show();
  }

  private show() {
    document.documentElement.dataset.theme = this.dark ? "dark" : "grey";
  }
}

export const theme = new Theme();
