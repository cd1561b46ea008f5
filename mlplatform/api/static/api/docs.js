"use strict";

// Swagger UI over our document. A browser session sends its CSRF token; an access key is entered under "Authorize".
const place = document.getElementById("swagger-ui");

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
  syntaxHighlight: { activated: true },
  requestInterceptor: (request) => {
    if (request.method && request.method !== "GET" && !request.loadSpec) {
      request.headers["X-CSRFToken"] = place.dataset.csrf;
    }
    return request;
  },
});
