// What the page of an experiment adds to main.js.

import "./figure.js";
import "./limits.js";
