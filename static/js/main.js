// Entry of every page: registers the custom elements. Each works alone, and each page works without them.

import "./chart.js";
import "./connection.js";
import "./copy.js";
import "./dialog.js";
import "./dropzone.js";
import "./ime.js";
import "./menu.js";
import "./polling.js";
import "./search.js";
import "./selection.js";
import "./theme.js";
import "./time.js";
