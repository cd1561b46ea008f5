// What job and endpoint pages add to main.js.

import "./log-view.js";
import "./relevance.js";
import "./rows.js";
