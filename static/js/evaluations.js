// What the pages of evaluations and of neighbours add to main.js.

import "./form-errors.js";
import "./once.js";
import "./slider.js";
