"""The documentation page, drawn by files of this server: a house may have no internet."""

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

FILES = "/docs/files"

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Serve the page at ``/docs``, and what it loads below it."""
    app.include_router(router)
    # Of this package only the files are used: Swagger UI, and what it looks like.
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]))


@router.get("/docs")
async def page() -> HTMLResponse:
    """Return the page; what it names is relative to it, and so found behind any proxy."""
    files = FILES.removeprefix("/")
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Malgil",
        swagger_js_url=f"{files}/swagger-ui-bundle.js",
        swagger_css_url=f"{files}/swagger-ui.css",
        swagger_favicon_url=f"{files}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # else Swagger UI may ask its makers' server
    )
