// Draws openapi.yaml into the page. Nothing is fetched from other servers.
window.onload = function () {
  SwaggerUIBundle({
    url: 'openapi.yaml',
    dom_id: '#reference',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 1,
    validatorUrl: null
  });
};
